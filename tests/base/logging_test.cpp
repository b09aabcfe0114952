#include "base/logging.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <future>
#include <sstream>
#include <string>
#include <thread>

namespace bop::logging {
namespace {

class Logging : public testing::Test {
 protected:
  Logging() {
    std::string name = (std::filesystem::temp_directory_path() / "bop-say-XXXXXX").string();
    EXPECT_NE(mkdtemp(name.data()), nullptr);
    directory_ = name;
    path_ = (directory_ / "lines").string();
  }
  ~Logging() override {
    stop();
    std::filesystem::remove_all(directory_);
  }

  Options options(bool json) const { return {Level::info, json, path_.c_str()}; }
  std::string logged() const {
    std::stringstream text;
    text << std::ifstream(path_).rdbuf();
    return text.str();
  }

  std::filesystem::path directory_;
  std::string path_;
};

TEST_F(Logging, writes_every_line_at_or_above_its_level) {
  ASSERT_TRUE(start(options(false)));
  debug("too {}", "fine");
  info("listening on {}", 7100);
  error("disk {}", "gone");
  stop();
  const std::string text = logged();
  EXPECT_EQ(text.find("too fine"), std::string::npos);
  EXPECT_NE(text.find("Z info    listening on 7100\n"), std::string::npos) << text;
  EXPECT_NE(text.find("Z error   disk gone\n"), std::string::npos) << text;
}

TEST_F(Logging, names_its_thread) {
  ASSERT_TRUE(start(options(false)));
  info("now the thread runs");
  const auto named = [] {
    for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
      std::string name;
      std::ifstream(task.path() / "comm") >> name;
      if (name == "bop-log") return true;
    }
    return false;
  };
  const auto latest = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (!named() && std::chrono::steady_clock::now() < latest) std::this_thread::yield();
  EXPECT_TRUE(named());
}

TEST_F(Logging, continues_in_a_new_file_after_the_old_one_was_renamed) {
  ASSERT_TRUE(start(options(false)));
  const std::string rotated = path_ + ".1";
  for (int line = 0; line < 100; ++line) {
    if (line == 50) {
      std::filesystem::rename(path_, rotated);
      ASSERT_TRUE(reopen(path_.c_str()));
    }
    info("line {}.", line);
  }
  // When the new file cannot be opened, lines still go to the old one.
  EXPECT_EQ(reopen((directory_ / "none" / "lines").c_str()).error().code, BOP_E_IO);
  info("last");
  stop();
  std::stringstream old;
  old << std::ifstream(rotated).rdbuf();
  const std::string all = old.str() + logged();
  for (int line = 0; line < 100; ++line) {
    EXPECT_NE(all.find("line " + std::to_string(line) + "."), std::string::npos) << line;
  }
  EXPECT_NE(logged().find("line 99."), std::string::npos);
  EXPECT_NE(logged().find("last"), std::string::npos);
  EXPECT_EQ(reopen(path_.c_str()).error().code, BOP_E_INVALID_ARGUMENT);  // stopped
}

// Without a reader, open() of a FIFO would wait for one.
TEST_F(Logging, refuses_a_file_that_is_no_regular_file_or_character_device_by_name) {
  ASSERT_EQ(mkfifo(path_.c_str(), 0600), 0);
  const Status refused = start(options(false));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().detail,
            path_ + " is a FIFO: must be a regular file or a character device");
  EXPECT_NE(start({.path = directory_.c_str()}).error().detail.find("is a directory"),
            std::string::npos);
  ASSERT_TRUE(start({.path = "/dev/null"}));
  EXPECT_NE(reopen(path_.c_str()).error().detail.find("is a FIFO"), std::string::npos);
}

TEST_F(Logging, writes_into_the_pipe_behind_a_descriptor) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  const std::string path = "/dev/fd/" + std::to_string(ends[1]);
  ASSERT_TRUE(start({.path = path.c_str()}));
  info("through the pipe");
  stop();
  close(ends[1]);
  char text[256] = "";
  EXPECT_GT(read(ends[0], text, sizeof text - 1), 0);
  EXPECT_NE(std::string(text).find("through the pipe"), std::string::npos);
  close(ends[0]);
}

TEST_F(Logging, whose_thread_the_system_refuses_fails_to_start_with_the_name_of_the_limit) {
  const pid_t child = fork();
  if (child == 0) {
    // The superuser has no such limit. No other process has this user.
    if (getuid() == 0 && setuid(100000 + static_cast<uid_t>(getpid())) != 0) _exit(1);
    const rlimit limit{1, 1};
    setrlimit(RLIMIT_NPROC, &limit);
    const Status refused = start({});
    if (refused) _exit(2);
    _exit(refused.error().detail.find("ulimit -u") != std::string::npos ? 0 : 3);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status)) << status;
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

TEST_F(Logging, changes_its_level_while_it_runs) {
  ASSERT_TRUE(start(options(false)));
  debug("before");
  set_level(Level::debug);
  debug("after");
  set_level(Level::error);
  warning("beneath");
  stop();
  EXPECT_EQ(logged().find("before"), std::string::npos);
  EXPECT_NE(logged().find("after"), std::string::npos);
  EXPECT_EQ(logged().find("beneath"), std::string::npos);
}

TEST_F(Logging, in_json_gives_one_object_a_line_whatever_the_text) {
  ASSERT_TRUE(start(options(true)));
  warning("a \"quoted\" \\ line\nwith a break and a % sign");
  stop();
  const std::string text = logged();
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 1);
  EXPECT_NE(
      text.find(
          R"("level":"warning","text":"a \"quoted\" \\ line\u000awith a break and a % sign"})"),
      std::string::npos)
      << text;
}

TEST_F(Logging, writes_one_line_whatever_bytes_are_quoted_in_it) {
  ASSERT_TRUE(start(options(false)));
  warning("{}", "got '\r\n2026 error forged\x1b[2J\t\x7f'");
  warning(
      "not UTF-8: \xff \xc3( \xed\xa0\x80 \xc2\x9b, and UTF-8: \xc3\xa4 \xe2\x82\xac "
      "\xf0\x9f\x98\x80");
  warning("cut \xe2\x82");
  stop();
  const std::string text = logged();
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 3) << text;
  EXPECT_NE(text.find(R"(got '\r\n2026 error forged\x1b[2J\t\x7f')"), std::string::npos) << text;
  EXPECT_NE(text.find(R"(not UTF-8: \xff \xc3( \xed\xa0\x80 \xc2\x9b, and UTF-8: )"
                      "\xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80\n"),
            std::string::npos)
      << text;
  EXPECT_NE(text.find(R"(cut \xe2\x82)"), std::string::npos) << text;
}

TEST_F(Logging, in_json_is_utf_8_whatever_bytes_are_quoted) {
  ASSERT_TRUE(start(options(true)));
  warning("\xff\n\xc3\xa4");
  stop();
  EXPECT_NE(logged().find("\"text\":\"\\\\xff\\u000a\xc3\xa4\"}"), std::string::npos) << logged();
}

TEST_F(Logging, twice_is_refused) {
  ASSERT_TRUE(start(options(false)));
  const Status again = start(options(false));
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, BOP_E_INVALID_ARGUMENT);
}

TEST_F(Logging, to_a_file_that_cannot_be_opened_is_an_error) {
  const std::string path = (directory_ / "lines" / "below").string();
  std::ofstream(path_) << "a file, not a folder";
  const Status started = start({Level::info, false, path.c_str()});
  ASSERT_FALSE(started);
  EXPECT_EQ(started.error().code, BOP_E_IO);
}

TEST_F(Logging, without_a_start_shows_warnings_on_standard_error) {
  EXPECT_TRUE(enabled(Level::warning));
  EXPECT_FALSE(enabled(Level::info));
  testing::internal::CaptureStderr();
  warning("careful");
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "bop: warning: careful\n");
}

TEST_F(Logging, off_logs_nothing) {
  Options silent = options(false);
  silent.level = Level::off;
  ASSERT_TRUE(start(silent));
  error("unheard");
  stop();
  EXPECT_EQ(logged(), "");
}

// Lines go into a pipe that is not read until all are logged: if a full queue blocked its caller, the first
// line beyond it would wait forever.
TEST_F(Logging, a_full_queue_drops_the_oldest_lines_and_never_blocks) {
  constexpr int flood = 100'000;
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  const int reader = ends[0];
  const std::string path = "/dev/fd/" + std::to_string(ends[1]);
  ASSERT_TRUE(start({.path = path.c_str()}));
  close(ends[1]);
  std::promise<void> logged_all;
  std::thread writer([&] {
    for (int i = 0; i < flood; ++i) info("line {}", i);
    info("the end");
    logged_all.set_value();
  });
  EXPECT_EQ(logged_all.get_future().wait_for(std::chrono::seconds(60)), std::future_status::ready);
  std::string text;
  while (text.find("the end\n") == std::string::npos) {
    char piece[65536];
    const ssize_t size = read(reader, piece, sizeof piece);
    ASSERT_GT(size, 0);
    text.append(piece, static_cast<size_t>(size));
  }
  writer.join();
  stop();
  close(reader);
  const auto lines = std::count(text.begin(), text.end(), '\n');
  EXPECT_LT(lines, flood);
  EXPECT_NE(text.find(fmt::format("line {}\n", flood - 1)), std::string::npos) << "the latest stay";
}

}  // namespace
}  // namespace bop::logging

#include "base/logging.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
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
  ASSERT_EQ(mkfifo(path_.c_str(), 0600), 0);
  // Opened for reading and writing, so that the logger's open() does not block.
  const int reader = open(path_.c_str(), O_RDWR);
  ASSERT_GE(reader, 0);
  ASSERT_TRUE(start(options(false)));
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

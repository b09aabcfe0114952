#include "base/say.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

namespace bop::say {
namespace {

class Saying : public testing::Test {
 protected:
  Saying() {
    std::string name = (std::filesystem::temp_directory_path() / "bop-say-XXXXXX").string();
    EXPECT_NE(mkdtemp(name.data()), nullptr);
    directory_ = name;
    path_ = (directory_ / "lines").string();
  }
  ~Saying() override {
    stop();
    std::filesystem::remove_all(directory_);
  }

  Options options(bool json) const { return {Level::info, json, path_.c_str()}; }
  std::string said() const {
    std::stringstream text;
    text << std::ifstream(path_).rdbuf();
    return text.str();
  }

  std::filesystem::path directory_;
  std::string path_;
};

TEST_F(Saying, writes_every_line_at_or_above_its_level) {
  ASSERT_TRUE(start(options(false)));
  debug("too {}", "fine");
  info("listening on {}", 7100);
  error("disk {}", "gone");
  stop();
  const std::string text = said();
  EXPECT_EQ(text.find("too fine"), std::string::npos);
  EXPECT_NE(text.find("Z info    listening on 7100\n"), std::string::npos) << text;
  EXPECT_NE(text.find("Z error   disk gone\n"), std::string::npos) << text;
}

TEST_F(Saying, in_json_gives_one_object_a_line_whatever_the_text) {
  ASSERT_TRUE(start(options(true)));
  warning("a \"quoted\" \\ line\nwith a break and a % sign");
  stop();
  const std::string text = said();
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 1);
  EXPECT_NE(
      text.find(
          R"("level":"warning","text":"a \"quoted\" \\ line\u000awith a break and a % sign"})"),
      std::string::npos)
      << text;
}

TEST_F(Saying, twice_is_refused) {
  ASSERT_TRUE(start(options(false)));
  const Status again = start(options(false));
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, BOP_E_INVALID_ARGUMENT);
}

TEST_F(Saying, to_a_file_that_cannot_be_opened_is_an_error) {
  const std::string path = (directory_ / "lines" / "below").string();
  std::ofstream(path_) << "a file, not a folder";
  const Status started = start({Level::info, false, path.c_str()});
  ASSERT_FALSE(started);
  EXPECT_EQ(started.error().code, BOP_E_IO);
}

TEST_F(Saying, without_a_start_shows_warnings_on_standard_error) {
  EXPECT_TRUE(enabled(Level::warning));
  EXPECT_FALSE(enabled(Level::info));
  testing::internal::CaptureStderr();
  warning("careful");
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "bop: warning: careful\n");
}

TEST_F(Saying, off_says_nothing) {
  Options silent = options(false);
  silent.level = Level::off;
  ASSERT_TRUE(start(silent));
  error("unheard");
  stop();
  EXPECT_EQ(said(), "");
}

TEST_F(Saying, a_flood_lets_the_oldest_lines_go_and_keeps_the_last) {
  ASSERT_TRUE(start(options(false)));
  for (int i = 0; i < 100000; ++i) info("line {}", i);
  info("the end");
  stop();
  EXPECT_NE(said().find("the end\n"), std::string::npos);
}

}  // namespace
}  // namespace bop::say

// bop/bop.h but for the queue.
#include "bop/bop.h"

#include <gtest/gtest.h>

#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "base/assert.h"

namespace {

TEST(Bop, reports_its_version_as_a_number_and_as_text) {
  EXPECT_EQ(bop_version_number(), BOP_VERSION_NUMBER);
  EXPECT_EQ(std::string(bop_version()), std::to_string(bop_version_number() >> 16) + "." +
                                            std::to_string(bop_version_number() >> 8 & 0xff) + "." +
                                            std::to_string(bop_version_number() & 0xff));
}

TEST(Bop, logs_a_programs_own_messages_from_the_configured_level_upwards_one_line_each) {
  const std::filesystem::path path =
      std::filesystem::temp_directory_path() / ("bop-logging-" + std::to_string(getpid()));
  bop_logging logging{};
  logging.size = sizeof logging;
  logging.level = BOP_LOG_WARNING;
  logging.path = path.c_str();
  ASSERT_EQ(bop_logging_start(&logging, nullptr, 0), BOP_OK);
  bop_logging_write(BOP_LOG_INFO, "below the level");
  bop_logging_write(BOP_LOG_WARNING, "two\nlines");
  bop_logging_write(BOP_LOG_ERROR, "above");
  bop_logging_write(BOP_LOG_OFF, "not a message level");
  bop_logging_write(BOP_LOG_DEBUG - 1, "no level at all");
  bop_logging_write(BOP_LOG_ERROR, nullptr);
  bop_logging_stop();

  std::ifstream file(path);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  std::filesystem::remove(path);
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 2) << text;
  EXPECT_NE(text.find("two\\nlines\n"), std::string::npos) << text;
  EXPECT_NE(text.find("above\n"), std::string::npos) << text;
}

TEST(BopDeathTest, calls_the_hosts_assert_handler_on_a_bug_and_aborts_without_one) {
  const auto fail = [](bop_assert_handler handler) {
    bop_set_assert_handler(handler);
    BOP_ASSERT_EQ(1, 2);
  };
  const auto handler = [](const char* file, int line, const char* text) {
    std::fprintf(stderr, "handled %s:%d %s", file, line, text);
    std::_Exit(7);
  };
  EXPECT_EXIT(fail(handler), testing::ExitedWithCode(7),
              "handled .*bop_test.cpp:[0-9]+ 1 == 2: 1 against 2");
  EXPECT_EXIT(fail(nullptr), testing::KilledBySignal(SIGABRT), "assertion failed at");
}

}  // namespace

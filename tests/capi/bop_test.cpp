// bop/bop.h but for the queue.
#include "bop/bop.h"

#include <gtest/gtest.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "base/assert.h"

namespace {

TEST(Bop, says_its_version_as_a_number_and_as_text) {
  EXPECT_EQ(bop_version_number(), BOP_VERSION_NUMBER);
  EXPECT_EQ(std::string(bop_version()), std::to_string(bop_version_number() >> 16) + "." +
                                            std::to_string(bop_version_number() >> 8 & 0xff) + "." +
                                            std::to_string(bop_version_number() & 0xff));
}

TEST(BopDeathTest, tells_the_hosts_handler_of_a_bug_and_aborts_without_one) {
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

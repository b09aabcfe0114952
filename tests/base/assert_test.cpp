#include "base/assert.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>

namespace bop {
namespace {

TEST(AssertDeathTest, prints_its_condition_and_aborts) {
  EXPECT_DEATH(BOP_ASSERT(1 + 1 == 3), "assertion failed at .*assert_test.cpp:.*1 \\+ 1 == 3");
}

TEST(AssertDeathTest, prints_the_values_it_compared) {
  const uint8_t left = 3;  // a number, not a character
  EXPECT_DEATH(BOP_ASSERT_EQ(left, 4), "left == 4: 3 against 4");
  EXPECT_DEATH(BOP_ASSERT_LT(left, 1), "left < 1: 3 against 1");
}

TEST(AssertDeathTest, calls_the_hosts_handler) {
  const auto check = [] {
    set_assert_handler([](const char*, int, const char* text) {
      std::fprintf(stderr, "handled %s", text);
      std::_Exit(7);
    });
    BOP_ASSERT_GE(1, 2);
  };
  EXPECT_EXIT(check(), testing::ExitedWithCode(7), "handled 1 >= 2: 1 against 2");
}

TEST(Assert, evaluates_its_operands_once_and_passes) {
  int calls = 0;
  const auto next = [&] { return ++calls; };
  BOP_ASSERT_EQ(next(), 1);
  BOP_ASSERT_NE(next(), 1);
  BOP_ASSERT_LE(next(), 3);
  BOP_ASSERT_GT(next(), 3);
  EXPECT_EQ(calls, 4);
}

}  // namespace
}  // namespace bop

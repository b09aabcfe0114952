#include "group/duplicates.h"

#include <gtest/gtest.h>

namespace bop::group {
namespace {

TEST(Duplicates, a_sequence_is_new_once) {
  Duplicates seen;
  EXPECT_TRUE(seen.first_time(1, 7, 100));
  EXPECT_FALSE(seen.first_time(1, 7, 100));
  EXPECT_TRUE(seen.first_time(1, 7, 101));
}

TEST(Duplicates, sequences_may_come_in_any_order) {
  Duplicates seen;
  EXPECT_TRUE(seen.first_time(1, 7, 103));
  EXPECT_TRUE(seen.first_time(1, 7, 101));
  EXPECT_TRUE(seen.first_time(1, 7, 102));
  EXPECT_FALSE(seen.first_time(1, 7, 101));
}

TEST(Duplicates, origins_are_independent) {
  Duplicates seen;
  EXPECT_TRUE(seen.first_time(1, 7, 5));
  EXPECT_TRUE(seen.first_time(2, 7, 5));
}

TEST(Duplicates, a_restarted_origin_has_a_new_window_and_its_old_requests_are_refused) {
  Duplicates seen;
  EXPECT_TRUE(seen.first_time(1, 7, 5));
  EXPECT_TRUE(seen.first_time(1, 8, 5));
  EXPECT_FALSE(seen.first_time(1, 7, 6));
}

TEST(Duplicates, a_sequence_below_the_window_counts_as_received) {
  Duplicates seen;
  EXPECT_TRUE(seen.first_time(1, 7, 1));
  EXPECT_TRUE(seen.first_time(1, 7, 1 + (1 << 16)));
  EXPECT_FALSE(seen.first_time(1, 7, 1));
  EXPECT_TRUE(seen.first_time(1, 7, 2));
  EXPECT_FALSE(seen.first_time(1, 7, 2));
}

TEST(Duplicates, a_jump_ahead_forgets_only_what_leaves_the_window) {
  Duplicates seen;
  EXPECT_TRUE(seen.first_time(1, 7, 10));
  EXPECT_TRUE(seen.first_time(1, 7, 1'000'000));
  EXPECT_TRUE(seen.first_time(1, 7, 999'999));
  EXPECT_FALSE(seen.first_time(1, 7, 1'000'000));
}

}  // namespace
}  // namespace bop::group

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

TEST(Duplicates, origins_count_for_themselves) {
  Duplicates seen;
  EXPECT_TRUE(seen.first_time(1, 7, 5));
  EXPECT_TRUE(seen.first_time(2, 7, 5));
}

TEST(Duplicates, a_restarted_origin_begins_anew_and_its_old_life_is_refused) {
  Duplicates seen;
  EXPECT_TRUE(seen.first_time(1, 7, 5));
  EXPECT_TRUE(seen.first_time(1, 8, 5));
  EXPECT_FALSE(seen.first_time(1, 7, 6));
}

TEST(Duplicates, what_is_too_old_to_tell_is_taken_as_seen) {
  Duplicates seen;
  EXPECT_TRUE(seen.first_time(1, 7, 1));
  EXPECT_TRUE(seen.first_time(1, 7, 1 + (1 << 16)));
  EXPECT_FALSE(seen.first_time(1, 7, 1));
  EXPECT_TRUE(seen.first_time(1, 7, 2));
  EXPECT_FALSE(seen.first_time(1, 7, 2));
}

TEST(Duplicates, a_leap_ahead_forgets_no_more_than_it_must) {
  Duplicates seen;
  EXPECT_TRUE(seen.first_time(1, 7, 10));
  EXPECT_TRUE(seen.first_time(1, 7, 1'000'000));
  EXPECT_TRUE(seen.first_time(1, 7, 999'999));
  EXPECT_FALSE(seen.first_time(1, 7, 1'000'000));
}

}  // namespace
}  // namespace bop::group

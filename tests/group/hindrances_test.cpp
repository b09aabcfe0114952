#include "group/hindrances.h"

#include <gtest/gtest.h>

namespace bop::group {
namespace {

using raft::Cause;

class HindrancesTest : public testing::Test {
 protected:
  Cause after(Duration time) {
    facts_.now += time;
    (void)hindrances_.check(facts_);
    return hindrances_.cause();
  }

  Hindrances hindrances_{"kv", 1 * seconds};
  Hindrances::Facts facts_{.now = 1 * seconds, .commit = 10, .applied = 10};
};

TEST_F(HindrancesTest, each_change_is_told_once) {
  EXPECT_EQ(hindrances_.check(facts_), std::nullopt);
  facts_.obstacle = "flushing waits for space";
  EXPECT_EQ(hindrances_.check(facts_), Cause::machine_held_up);
  EXPECT_EQ(hindrances_.check(facts_), std::nullopt);
  facts_.obstacle = nullptr;
  EXPECT_EQ(hindrances_.check(facts_), Cause::none);
  EXPECT_EQ(hindrances_.text(), "");
}

TEST_F(HindrancesTest, a_full_disk_hinders_at_once_and_a_full_log_once_it_lasts) {
  facts_.log_full = BOP_E_DISK_FULL;
  EXPECT_EQ(after(0), Cause::disk_full);
  facts_.log_full = BOP_OK;
  EXPECT_EQ(after(0), Cause::none);
  facts_.log_full = BOP_E_LOG_FULL;
  EXPECT_EQ(after(0), Cause::none);
  EXPECT_EQ(after(1 * seconds), Cause::none);
  EXPECT_EQ(after(1), Cause::log_full);
  facts_.log_full = BOP_OK;
  EXPECT_EQ(after(0), Cause::none);
  facts_.log_full = BOP_E_LOG_FULL;
  EXPECT_EQ(after(1), Cause::none) << "it begins anew";
}

TEST_F(HindrancesTest,
       a_machine_is_behind_when_an_entry_waits_for_too_long_however_many_it_applies) {
  EXPECT_EQ(after(0), Cause::none);
  for (int i = 0; i < 100; ++i) {
    facts_.commit += 10;
    facts_.applied = facts_.commit - 10;  // always behind, but each entry is applied soon
    EXPECT_EQ(after(100 * milliseconds), Cause::none);
  }
  facts_.commit += 100;
  facts_.applied = facts_.commit - 100;
  EXPECT_EQ(after(1), Cause::none);
  facts_.applied += 99;
  EXPECT_EQ(after(5 * seconds), Cause::none) << "the process stood still";
  EXPECT_EQ(after(500 * milliseconds), Cause::none);
  EXPECT_EQ(after(500 * milliseconds), Cause::none);
  EXPECT_EQ(after(1), Cause::machine_behind);
  EXPECT_EQ(hindrances_.text(), "the machine has not applied entry " +
                                    std::to_string(facts_.commit) +
                                    ", committed more than 1000 ms ago");
  facts_.applied += 1;
  EXPECT_EQ(after(0), Cause::none);
}

TEST_F(HindrancesTest, an_unreadable_entry_hinders_until_it_is_read_or_compacted) {
  hindrances_.not_read(7, 3, {BOP_E_DAMAGED, "at 4096"});
  EXPECT_EQ(after(0), Cause::entry_unreadable);
  hindrances_.read(1, 6);
  hindrances_.read(8, 9);
  EXPECT_EQ(after(0), Cause::entry_unreadable);
  hindrances_.read(7, 7);
  EXPECT_EQ(after(0), Cause::none);
  hindrances_.not_read(7, 3, {BOP_E_DAMAGED, "at 4096"});
  facts_.compacted = 6;
  EXPECT_EQ(after(0), Cause::entry_unreadable);
  facts_.compacted = 7;
  EXPECT_EQ(after(0), Cause::none);
}

}  // namespace
}  // namespace bop::group

#include "log/verdict.h"

#include <gtest/gtest.h>

namespace bop::log {
namespace {

// The table of docs/formats/log.md, row by row. -1: either.
struct Row {
  int number;
  int frame_follows;
  int numbers_follow;
  int below_durable;
  int bad;
  int incomplete;
  int touched;
  Verdict verdict;
};

constexpr Row table[] = {
    {1, 1, 1, -1, -1, -1, -1, Verdict::nothing}, {2, 1, 0, -1, -1, -1, -1, Verdict::damage},
    {3, 0, -1, 1, -1, -1, -1, Verdict::damage},  {4, 0, -1, 0, 1, 0, -1, Verdict::suspect},
    {5, 0, -1, 0, 0, -1, 1, Verdict::tear},      {5, 0, -1, 0, 1, 1, 1, Verdict::tear},
    {6, 0, -1, 0, 0, -1, 0, Verdict::end},       {6, 0, -1, 0, 1, 1, 0, Verdict::end},
};

bool fits(int cell, bool fact) { return cell < 0 || (cell == 1) == fact; }

TEST(Verdict, every_combination_of_facts_has_one_row_and_its_verdict) {
  for (int bits = 0; bits < 64; ++bits) {
    const Stretch stretch{.frame_follows = (bits & 1) != 0,
                          .numbers_follow = (bits & 2) != 0,
                          .below_durable = (bits & 4) != 0,
                          .bad = (bits & 8) != 0,
                          .first_write_incomplete = (bits & 32) != 0,
                          .touched = (bits & 16) != 0};
    int rows = 0;
    for (const Row& row : table) {
      if (!fits(row.frame_follows, stretch.frame_follows) ||
          !fits(row.numbers_follow, stretch.numbers_follow) ||
          !fits(row.below_durable, stretch.below_durable) || !fits(row.bad, stretch.bad) ||
          !fits(row.incomplete, stretch.first_write_incomplete) ||
          !fits(row.touched, stretch.touched)) {
        continue;
      }
      ++rows;
      EXPECT_EQ(judge(stretch), row.verdict) << "row " << row.number << ", facts " << bits;
    }
    EXPECT_EQ(rows, 1) << "facts " << bits;
  }
}

}  // namespace
}  // namespace bop::log

#include <gtest/gtest.h>

#include <cstdlib>

#include "base/assert.h"
#include "random_cluster.h"
#include "tools/checker.h"

namespace bop::raft::test {

using namespace model;

// BOP_RAFT_SEEDS=FIRST:COUNT runs others.
struct Seeds {
  uint64_t first = 1;
  uint64_t count = 60;
};

Seeds seeds_to_run() {
  Seeds seeds;
  if (const char* text = std::getenv("BOP_RAFT_SEEDS")) {
    char* rest = nullptr;
    seeds.first = std::strtoull(text, &rest, 10);
    if (*rest == ':') seeds.count = std::strtoull(rest + 1, nullptr, 10);
  }
  return seeds;
}

TEST(RandomCluster, stays_safe_and_agrees_once_healed_and_every_seed_repeats_bit_for_bit) {
  set_assert_handler(throw_on_assert);
  const Seeds seeds = seeds_to_run();
  RandomRun all;
  for (uint64_t seed = seeds.first; seed < seeds.first + seeds.count; ++seed) {
    try {
      const RandomRun run = run_random_cluster(seed);
      EXPECT_EQ(run.trace, run_random_cluster(seed).trace) << "seed " << seed;
      all.committed += run.committed;
      all.reads += run.reads;
      all.crashes += run.crashes;
      all.changes += run.changes;
      all.steps += run.steps;
      all.installs += run.installs;
    } catch (const Violation& violation) {
      FAIL() << "seed " << seed << ": " << violation.what();
    }
  }
  set_assert_handler(nullptr);
  RecordProperty("committed", std::to_string(all.committed));
  RecordProperty("reads", std::to_string(all.reads));
  // Otherwise the faults prevented all progress, and nothing was tested.
  EXPECT_GT(all.committed, 50 * seeds.count);
  EXPECT_GT(all.reads, 20 * seeds.count);
  EXPECT_GT(all.crashes, seeds.count);
  EXPECT_GT(all.installs, seeds.count);
  EXPECT_GT(all.changes, seeds.count);
  std::printf(
      "%llu steps, %llu entries committed, %llu reads, %llu crashes, %llu installs, %llu changes\n",
      (unsigned long long)all.steps, (unsigned long long)all.committed,
      (unsigned long long)all.reads, (unsigned long long)all.crashes,
      (unsigned long long)all.installs, (unsigned long long)all.changes);
}

}  // namespace bop::raft::test

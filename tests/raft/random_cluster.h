// A cluster under random faults: messages lost, repeated and overtaking each other, links cut, nodes
// crashing with writes under way. Everything follows from the seed.
#pragma once

#include <cstdint>

namespace bop::raft::test {

struct RandomRun {
  uint64_t trace = 0;
  uint64_t steps = 0;
  uint64_t committed = 0;
  uint64_t reads = 0;
  uint64_t crashes = 0;
  uint64_t terms = 0;
};

// Throws Violation. At the end everything is healed, and the replicas must agree before long.
RandomRun run_random_cluster(uint64_t seed);

}  // namespace bop::raft::test

// A cluster under random faults: messages are lost, repeated and reordered, links are cut, nodes crash
// with writes in progress, logs are compacted beyond what peers hold. Everything follows from the seed.
#pragma once

#include <cstdint>

namespace bop::raft::test {

struct RandomRun {
  uint64_t trace = 0;
  uint64_t steps = 0;
  uint64_t committed = 0;
  uint64_t reads = 0;
  uint64_t crashes = 0;
  uint64_t changes = 0;  // of members, committed
  uint64_t terms = 0;
  uint64_t installs = 0;
};

// Throws Violation. At the end all faults are healed, and the replicas must agree within 30 s.
RandomRun run_random_cluster(uint64_t seed);

}  // namespace bop::raft::test

// Runs simulations in a process of their own, so that failed asserts, crashes and endless loops end that process alone.
#pragma once

#include <cstdint>
#include <string>

#include "sim/simulation.h"

namespace bop::sim {

struct TrialResult {
  bool failed = false;
  uint64_t seed = 0;   // that failed, or the last one begun
  uint64_t seeds = 0;  // begun
  double seconds = 0;  // of core time
  std::string check;   // that reported the failure: "election safety", "assert", "signal"
  std::string
      message;        // its first line, without the time; without a failure, how the process ended
  Progress progress;  // of the seed that failed; zero when a signal ended the process
};

// Runs the seeds from `first` to `last` until one fails or the core time is used up. The seed of `options` is ignored, and
// what it would write is not written. The seeded bug is the one chosen in this process.
TrialResult run_apart(const SimulationOptions& options, uint64_t first, uint64_t last,
                      double core_time);

}  // namespace bop::sim

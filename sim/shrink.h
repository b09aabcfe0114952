// Reduces a run that fails to a smaller one that fails the same check: less time, fewer faults, clients, keys, groups,
// shards and nodes. A run is a function of its options, so the smaller one can be repeated from the command line.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "sim/simulation.h"
#include "sim/trial.h"

namespace bop::sim {

struct ShrinkOptions {
  SimulationOptions simulation;
  double core_time = 600;  // seconds; what is smallest by then is the result
};

struct ShrinkResult {
  SimulationOptions simulation;
  TrialResult failure;  // of that simulation
  uint64_t runs = 0;
  double seconds = 0;  // of core time
};

// nullopt: the run does not fail. `smaller` is called for each smaller run that fails.
std::optional<ShrinkResult> shrink(const ShrinkOptions& options,
                                   const std::function<void(const ShrinkResult&)>& smaller);

}  // namespace bop::sim

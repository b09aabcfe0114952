// Runs the simulator on each seeded bug until a check reports it or its core time is used up.
//
// A seed that fails without any bug, too, proves nothing about a bug: it is skipped and reported.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "sim/seeded.h"
#include "sim/simulation.h"
#include "sim/trial.h"

namespace bop::sim {

struct MutantOptions {
  std::vector<std::string> names;  // empty: all
  double seconds_each = 60;        // of core time
  uint64_t first_seed = 1;
  uint64_t last_seed = ~uint64_t{0};
  SimulationOptions simulation;  // its seed is replaced
};

struct MutantResult {
  ModuleBug bug;
  TrialResult trial;              // failed: the bug is caught
  std::vector<uint64_t> skipped;  // seeds that fail without any bug
};

// False: a name is not of a bug; `unknown` gets it.
bool run_mutants(const MutantOptions& options, const std::function<void(const MutantResult&)>& done,
                 std::string& unknown);

}  // namespace bop::sim

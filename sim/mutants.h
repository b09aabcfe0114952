// Runs the simulator on each seeded bug until a check reports it or its core time is used up. Each bug has a
// process of its own, so that failed asserts, crashes and endless loops end that one alone.
//
// A seed that fails without any bug, too, proves nothing about a bug: it is skipped and reported.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "sim/seeded.h"
#include "sim/simulation.h"

namespace bop::sim {

struct MutantOptions {
  std::vector<std::string> names;  // empty: all
  double seconds_each = 60;        // of core time
  uint64_t first_seed = 1;
  SimulationOptions simulation;  // its seed is replaced
};

struct MutantResult {
  ModuleBug bug;
  bool caught = false;
  uint64_t seed = 0;              // that caught it, or the last one begun
  uint64_t seeds = 0;             // begun
  std::vector<uint64_t> skipped;  // seeds that fail without any bug
  double seconds = 0;             // of core time
  std::string check;              // that reported it: "election safety"
  std::string message;  // all of its first line; of a bug that is not caught, how its process ended
};

// False: a name is not of a bug; `unknown` gets it.
bool run_mutants(const MutantOptions& options, const std::function<void(const MutantResult&)>& done,
                 std::string& unknown);

// For assert handlers and the like in the process of a bug: reports and ends the process. Returns where
// there is no such process.
void report_from_mutant(const std::string& why);

}  // namespace bop::sim

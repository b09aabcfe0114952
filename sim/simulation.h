// One run: a cluster, its clients and its faults for some minutes of simulated time, then calm, and
// everything must be well. All of it follows from the options.
#pragma once

#include <cstdint>
#include <cstdio>
#include <map>
#include <optional>
#include <string>

#include "base/time.h"
#include "sim/explain.h"
#include "sim/faults.h"
#include "sim/workload.h"

namespace bop::sim {

struct SimulationOptions {
  uint64_t seed = 1;
  Duration time = 60 * seconds;
  uint32_t nodes = 0;              // 0: the seed draws 1 to 5
  FaultSet faults = all_faults();  // of these the seed picks some
  bool pick_faults = true;         // false: all of them
  bool ignore_file_locks = false;  // a seeded bug: see Disk::Faults
  std::FILE* trace = nullptr;
  std::FILE* history = nullptr;
  Explainer* explainer = nullptr;  // gets every frame, too
};

struct SimulationResult {
  std::optional<std::string> failure;
  uint64_t trace_hash = 0;
  uint64_t events = 0;
  Duration simulated = 0;
  StateChecker::Counters checker;
  Workload::Counters clients;
  Network::Counters network;
  std::map<Fault, uint64_t> faults;
  uint64_t late_writes_waited_for = 0;
  std::string setting;  // what the seed chose, for people
};

SimulationResult simulate(const SimulationOptions& options);

}  // namespace bop::sim

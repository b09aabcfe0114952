// One run: a cluster, its clients and its faults for some minutes of simulated time, then calm, and
// everything must be well. All of it follows from the options.
#pragma once

#include <cstdint>
#include <cstdio>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/time.h"
#include "sim/explain.h"
#include "sim/faults.h"
#include "sim/setting.h"
#include "sim/workload.h"

namespace bop::sim {

// How far a run is, for whoever reports a failed assert.
struct Progress {
  Instant at = 0;
  uint64_t faults_drawn = 0;
};

struct SimulationOptions {
  uint64_t seed = 1;
  Duration time = 60 * seconds;
  SettingOptions setting;
  bool ignore_file_locks = false;  // a seeded bug: see Disk::Faults
  std::FILE* trace = nullptr;
  std::FILE* history = nullptr;
  Explainer* explainer = nullptr;                 // gets every frame, too
  std::function<Progress()>* progress = nullptr;  // set while the simulation exists
};

struct SimulationResult {
  std::optional<std::string> failure;
  Instant failed_at = 0;
  uint64_t trace_hash = 0;
  uint64_t events = 0;
  Duration simulated = 0;
  uint64_t faults_drawn = 0;
  StateChecker::Counters checker;
  Workload::Counters clients;
  Network::Counters network;
  std::map<Fault, uint64_t> faults;
  // What came of them, by name, in the order of printing.
  std::vector<std::pair<std::string, uint64_t>> effects;
  Availability::Counters availability;
  uint64_t late_writes_waited_for = 0;
  std::string setting;  // what the seed chose, for people
};

SimulationResult simulate(const SimulationOptions& options);

}  // namespace bop::sim

// What a run is like: everything that its seed draws before it begins. Limits and sizes are drawn small often, so
// that full logs, held-back writes, refusals, rewriting and several segments happen in a minute.
#pragma once

#include <optional>
#include <set>
#include <string>

#include "sim/availability.h"
#include "sim/faults.h"
#include "sim/network.h"
#include "sim/node.h"
#include "sim/workload.h"

namespace bop::sim {

struct Setting {
  uint32_t nodes;
  uint32_t shards;
  uint32_t groups;
  NodeSettings node;
  NetworkOptions network;
  WorkloadOptions workload;
  uint32_t pipelines;  // connections that send commands without waiting
  FaultOptions faults;
  AvailabilityOptions availability;
};

struct SettingOptions {
  uint32_t nodes = 0;  // 0: the seed draws 1 to 5
  // Of what the seed draws, at most so many; 0: all.
  uint32_t shards = 0;
  uint32_t groups = 0;
  uint32_t clients = 0;
  uint32_t keys = 0;
  FaultSet faults = all_faults();
  bool pick_faults = true;                        // false: all of them
  std::optional<std::set<uint64_t>> only_faults;  // see FaultOptions::only
};

Setting draw_setting(const SettingOptions& options, Random random);

// One line for people.
std::string describe(const Setting& setting);

}  // namespace bop::sim

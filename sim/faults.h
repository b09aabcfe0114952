// What goes wrong in a simulated cluster, and whoever supervises it: starts what died, reopens what
// latched. Drawn from the seed; every kind can be left out.
//
// Some faults may leave a replica suspect, which then stays out for good: rotten blocks, reads that fail,
// and power lost on a disk that tears blocks. They strike only nodes of `may_lose_data`, fewer than half of all, so that the
// others can always go on. A node that is not of `may_lose_data` must never become suspect.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "sim/network.h"
#include "sim/node.h"
#include "sim/state_checker.h"

namespace bop::sim {

enum class Fault : uint8_t {
  kill,         // a process ends at once
  power,        // a machine loses power
  blackout,     // all machines lose power together
  restart,      // a process ends cleanly
  pause,        // a process stands still
  isolate,      // a node is cut off
  split,        // the nodes fall in two parts
  one_way,      // frames of one direction are lost
  storm,        // links lose, repeat and overtake
  slow_disk,    // a disk answers late
  stall,        // a disk answers not at all for a while
  failing,      // a write or sync fails
  full,         // a disk has no space for a while
  rot,          // a block of a log changes or cannot be read (nodes that may lose data)
  clock,        // wall clocks jump, clocks drift
  store,        // a machine's storage fails
  late_write,   // a process is killed while its disk is slow; its last writes land seconds later
  large,        // large frames of a node are lost, small ones pass
  crash_at_io,  // a node crashes while an operation of a chosen kind is under way
  depose,       // a leader is cut off with a minority, and its clock may stand still
};
constexpr size_t fault_count = 20;

const char* name_of(Fault fault);
using FaultSet = std::set<Fault>;
FaultSet all_faults();
// "none", "all", or names with commas between them.
Result<FaultSet> parse_faults(std::string_view text);

struct FaultOptions {
  FaultSet kinds;
  std::set<NodeId> may_lose_data;
  Duration between_longest = 4 * seconds;  // uniform from 0
  Duration lasts_longest = 3 * seconds;
  LinkQuality quality;  // of links without faults
  // The numbers of those that strike, of all that are drawn; nullopt: all.
  std::optional<std::set<uint64_t>> only;
};

class Faults {
 public:
  Faults(Scheduler& scheduler, Thread& harness, Network& network, StateChecker& checker,
         std::vector<std::unique_ptr<Node>>& nodes, const FaultOptions& options);

  void start();
  // No fault begins any more, and all that last end; nodes are still started and reopened.
  void stop();

  // Down or in doubt for good, as nodes that may lose data may be.
  bool lost(const Node& node) const;

  const std::map<Fault, uint64_t>& counters() const { return counters_; }
  // Faults that were drawn, numbered from 1.
  uint64_t drawn() const { return drawn_; }

 private:
  void next();
  void strike(Fault fault);
  void supervise();
  void restart_halted(Node& node);
  void reopen_or_report(Node& node, const Error& error);
  void end_process(Node& node, Ending ending);
  void late_write();
  void crash_at_io();
  void land_late_writes(Node& node, Duration after);
  void start_later(Node& node);
  void split();
  void depose();
  void lose_large();
  void storm();
  void disk_fault(Fault fault);
  void rot();
  void clock_fault();
  Node& any();
  Node* any_serving();
  Node* leader_of_any_group();
  Duration while_long() { return random_.between(1 * milliseconds, options_.lasts_longest); }
  void until(Duration time, Task end);

  Scheduler& scheduler_;
  Thread& harness_;
  Network& network_;
  StateChecker& checker_;
  std::vector<std::unique_ptr<Node>>& nodes_;
  const FaultOptions options_;
  Random schedule_;  // when a fault is drawn, and its kind
  Random starts_;    // of nodes
  Random
      random_;  // of the fault that strikes, so that leaving out one leaves the others as they are
  uint64_t drawn_ = 0;
  bool stopped_ = false;
  std::set<NodeId> starting_;  // a start is scheduled
  std::map<Fault, uint64_t> counters_;
};

}  // namespace bop::sim

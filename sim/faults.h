// What goes wrong in a simulated cluster, and whoever supervises it: starts what died, reopens what
// latched. Drawn from the seed; every kind can be left out.
//
// The fault atlas, which decides whom a fault may strike. Some faults may leave a replica suspect, or its machine
// in doubt, so that it stays out for good: damage to the log, the store or a small file at rest, a write that is lost or
// goes elsewhere, a block that cannot be read when the node starts, power lost on a disk that tears blocks. They strike only
// nodes of `may_lose_data`, fewer than half of all, so that the others can always go on. A node that is not of
// `may_lose_data` must never become suspect. All else may strike any node, and all nodes together. Whatever strikes
// whom, no answer may be wrong.
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
#include "raft/types.h"
#include "sim/availability.h"
#include "sim/network.h"
#include "sim/node.h"
#include "sim/state_checker.h"

namespace bop::sim {

// clang-format off
// name, what happens. One marked (may lose data) strikes only nodes of `may_lose_data`.
#define BOP_SIM_FAULTS(fault)                                                                      \
  fault(kill, "a process ends at once")                                                            \
  fault(power, "a machine loses power")                                                            \
  fault(blackout, "all machines lose power together")                                              \
  fault(restart, "a process ends cleanly")                                                         \
  fault(pause, "a process stands still")                                                           \
  fault(isolate, "a node is cut off")                                                              \
  fault(split, "the nodes fall in two parts")                                                      \
  fault(one_way, "frames of one direction are lost")                                               \
  fault(storm, "links lose, repeat and overtake")                                                  \
  fault(slow_disk, "a log's disk answers late")                                                    \
  fault(stall, "a log's disk answers not at all for a while")                                      \
  fault(failing, "a write or sync fails")                                                          \
  fault(full, "a log's disk has no space for a while")                                             \
  fault(rot, "a block of a log changes or cannot be read, while the node is down (may lose data)") \
  fault(clock, "wall clocks jump, clocks drift or stand still")                                    \
  fault(store, "a machine's storage fails")                                                        \
  fault(late_write, "a process is killed while its disk is slow; its last writes land later")      \
  fault(large, "large frames of a node are lost, small ones pass")                                 \
  fault(crash_at_io, "a node crashes while an operation of a chosen kind is under way")            \
  fault(depose, "a leader is cut off with a minority, and its clock may stand still")              \
  fault(crash_in_recovery, "a node crashes at an operation of its start, several times in a row")  \
  fault(lost_write, "a write to a log is reported and not made (may lose data)")                   \
  fault(misdirected_write, "a write to a log is made to another block (may lose data)")            \
  fault(misread, "a read of a running log returns another block")                                  \
  fault(read_error, "a read of a running log fails")                                               \
  fault(live_rot, "as rot, while the node serves (may lose data)")                                 \
  fault(file_rot, "a small file of the data directory changes (may lose data)")                    \
  fault(nearly_full, "a log's disk has space for a few segments more, or a part of one")           \
  fault(stalled_write, "one write to a log takes seconds")                                         \
  fault(stalled_job, "one job of a worker, such as a flush, takes seconds")                        \
  fault(store_full, "the machines' disk has no space for a while")                                 \
  fault(store_rot, "a record of a machine's storage changes (may lose data)")                      \
  fault(store_lost_write, "a synced write of a store is gone after a crash (may lose data)")       \
  fault(flap, "the connections between two nodes break again and again")                           \
  fault(partial, "two nodes do not reach each other, and both reach the others")                  \
  fault(crash_at_vote, "a node crashes just after it voted")                                       \
  fault(repeat, "frames arrive again, up to 300 ms later")
// clang-format on

#define BOP_ENUMERATOR(name, what) name,
enum class Fault : uint8_t { BOP_SIM_FAULTS(BOP_ENUMERATOR) };
#undef BOP_ENUMERATOR
#define BOP_ONE(name, what) +1
constexpr size_t fault_count = 0 BOP_SIM_FAULTS(BOP_ONE);
#undef BOP_ONE

const char* name_of(Fault fault);
using FaultSet = std::set<Fault>;
FaultSet all_faults();
// "none", "all", or names with commas between them.
Result<FaultSet> parse_faults(std::string_view text);

struct FaultOptions {
  FaultSet kinds;
  std::map<Fault, uint32_t>
      weights;  // how often each strikes, in relation to the others; left out: 1
  std::set<NodeId> may_lose_data;
  Duration between_longest = 4 * seconds;  // uniform from 0
  Duration lasts_longest = 3 * seconds;
  // Some of the network last for longer than this, in which other nodes have to answer.
  Duration outlast = 10 * seconds;
  LinkQuality quality;  // of links without faults
  // The numbers of those that strike, of all that are drawn; nullopt: all.
  std::optional<std::set<uint64_t>> only;
};

class Faults {
 public:
  Faults(Scheduler& scheduler, Thread& harness, Network& network, StateChecker& checker,
         Availability& availability, std::vector<std::unique_ptr<Node>>& nodes,
         const FaultOptions& options);

  void start();
  // No fault begins any more, and all that last end; nodes are still started and reopened.
  void stop();

  // A node's message is on its way to a peer.
  void sent(const raft::Message& message);

  // Down or in doubt for good, as nodes that may lose data may be.
  bool lost(const Node& node) const;

  // How often each kind struck. Whether something came of it, the counters of disks, stores and network tell.
  const std::map<Fault, uint64_t>& counters() const { return counters_; }
  // Faults that were drawn, numbered from 1.
  uint64_t drawn() const { return drawn_; }
  struct Effects {
    uint64_t leaders_cut_off = 0, leaders_frozen = 0;  // by depose
    uint64_t crashes_at_votes = 0;
  };
  const Effects& effects() const { return effects_; }

 private:
  void next();
  Fault draw();
  void strike(Fault fault);
  void strike_process(Fault fault);
  void strike_network(Fault fault);
  void strike_disk(Fault fault);
  void strike_store(Fault fault);
  void supervise();
  void restart_halted(Node& node);
  void reopen_or_report(Node& node, const Error& error);
  bool misread_since_reopened(const Node& node);
  void end_process(Node& node, Ending ending);
  void late_write();
  void crash_at_io();
  void crash_in_recovery(Node& node, uint32_t times);
  void crash_then(Node& node, Ending ending, Duration later);
  void land_late_writes(Node& node, Duration after);
  void start_later(Node& node);
  void split();
  void depose();
  void lose_large();
  void storm();
  void repeat();
  void flap(NodeId a, NodeId b, Instant until);
  void fail_operation(Node& node, Disk& disk);
  void rot();
  void rot_live();
  void rot_small_file();
  // Of a file in that directory, or of what was written last in it.
  void damage_any(Disk& disk, const std::string& directory, std::string_view end);
  // False: a sector of it cannot be read from now on; true: a bit of it changed.
  bool damage(Disk& disk, const std::string& file, std::optional<uint64_t> offset = {});
  std::vector<std::string> files_of(Disk& disk, const std::string& directory, std::string_view end);
  void clock_fault();
  Node& any();
  Disk& any_disk(Node& node);
  Node& any_or_leader();  // a leader more often than the others
  Node* any_serving();
  Node* leader_of_any_group();
  Node* any_that_may_lose_data();
  Duration while_long() { return random_.between(1 * milliseconds, options_.lasts_longest); }
  Duration while_long_or_longer(uint64_t one_in = 6);  // so often longer
  void until(Duration time, Task end);
  // While it lasts, and somewhat longer, no group need be available.
  Duration excused();

  Scheduler& scheduler_;
  Thread& harness_;
  Network& network_;
  StateChecker& checker_;
  Availability& availability_;
  std::vector<std::unique_ptr<Node>>& nodes_;
  FaultOptions options_;  // the same since the start
  Random schedule_;       // when a fault is drawn, and its kind
  Random starts_;         // of nodes
  Random
      random_;  // of the fault that strikes, so that leaving out one leaves the others as they are
  uint64_t drawn_ = 0;
  bool stopped_ = false;
  std::set<NodeId> starting_;    // a start is scheduled
  std::set<NodeId> damaged_;     // while it ran: what it has to find when it starts again
  std::set<NodeId> unreadable_;  // a small file of it cannot be read: it does not start any more
  std::map<NodeId, uint64_t> excused_misreads_;  // of its disks, those it was reopened for
  std::map<NodeId, Ending> ends_at_vote_;        // at its next one
  uint64_t all_weights_ = 0;
  std::map<Fault, uint64_t> counters_;
  Effects effects_;
};

}  // namespace bop::sim

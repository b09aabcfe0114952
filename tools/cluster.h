// Replicas with disks and a network, all in memory and driven step by step: nothing happens unless the test
// asks for it. The base of scenarios and of the random cluster.
#pragma once

#include <deque>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "raft/core.h"
#include "raft/record.h"
#include "tools/checker.h"

namespace bop::raft::model {

// A write in progress.
struct Write {
  PersistMark mark;
  EntryId restart;
  std::vector<Entry> entries;
};

// What survives a crash.
struct Disk {
  HardState hard;
  EntryId before_first;        // what the log begins after
  std::vector<Entry> entries;  // the one after before_first is the first
  Index machine = 0;           // what the machine holds durably
  EntryId snapshot;            // the newest one
  Index last() const { return before_first.index + entries.size(); }
  const Entry* find(Index index) const;
  void take(const Write& write);
  Term term_at(Index index) const;
  void compact(Index through);
};

// The id that a snapshot has in tests.
inline SnapshotRef snapshot_as_of(EntryId at) { return {at, {at.term, at.index}}; }

// A message in flight, with its own copy of the entries.
struct Flight {
  Message message;
  std::vector<Entry> entries;
  Instant due = never;  // arrival in the scenario's time; never: not determined yet
};

struct Node {
  NodeId id = 0;
  Instant now = 0;  // every node has a clock of its own
  Disk disk;
  std::deque<Write> writes;
  std::unique_ptr<Core> core;  // nullptr: down
  Index applied = 0;
  std::vector<Event> events;               // for the next step
  std::list<std::vector<Entry>> received;  // what their messages point into
  std::vector<Update::Load> loads;
  std::optional<Update::Offer> offer;  // the latest one
  Index snapshot_wanted = 0;           // as in the latest update
  Instant deadline = never;
  LogCapacity log_capacity = LogCapacity::available;  // else its log takes no entries
  Index compact = 0;
  uint64_t lives = 0;

  // What the last steps returned, for the test to look at.
  std::vector<Update::Proposed> proposed;
  std::vector<Update::Refused> refused;
  std::vector<Update::ReadReady> reads;
  std::vector<Record> records;  // of this life
  bool up() const { return core != nullptr; }
};

class Cluster {
 public:
  // `others` are nodes that are no members at first.
  Cluster(const Configuration& configuration, const Config& config, uint64_t seed,
          const std::vector<NodeId>& others = {});

  Node& node(NodeId id) { return nodes_.at(id); }
  std::map<NodeId, Node>& nodes() { return nodes_; }
  std::deque<Flight>& flights() { return flights_; }
  Checker& checker() { return checker_; }
  uint64_t trace() const { return trace_; }
  size_t changes() const { return configurations_.size() - 1; }  // of members, committed
  // The last configuration up to a committed entry.
  ConfigurationAt in_force_after(Index committed) const;

  void start(NodeId id);
  // Loses everything that is not durable; the `kept` oldest writes in progress complete.
  void crash(NodeId id, size_t kept);

  // An event for the node's next step.
  void propose(NodeId id, uint64_t token, std::string_view payload);
  void propose(NodeId id, uint64_t token, const Configuration& configuration);
  void read(NodeId id, uint64_t token);
  void deliver(const Flight& flight);
  // The oldest write in progress completes.
  void persist(NodeId id);
  void load(NodeId id);
  // The machine makes a snapshot of what it has applied, and holds that durably.
  void take_snapshot(NodeId id);
  // The log is compacted up to an entry that the machine holds durably.
  void compact(NodeId id, Index through);
  // The machine is restored from a snapshot that was offered.
  void install(NodeId id, const Update::Offer& offer);
  void tell(NodeId id, Event event) { node(id).events.push_back(std::move(event)); }

  void step(NodeId id);
  // Log Matching among all nodes that are up, and Core::check of each.
  void check_all();

 private:
  void take_update(Node& node);
  void apply(Node& node, Index commit);
  Entry entry_of(const Node& node, Index index) const;
  // Whether a quorum of the configuration in force on the node holds the entry durably.
  bool is_durable(const Node& node, EntryId entry) const;
  void trace_update(const Node& node);
  void mix(uint64_t value);

  std::map<Index, Configuration> configurations_;  // committed ones, by index; 0: at first
  Config config_;
  std::map<NodeId, Node> nodes_;
  std::deque<Flight> flights_;
  std::map<uint64_t, Index> read_floors_;  // by token
  Checker checker_;
  Update update_;
  uint64_t seed_;
  uint64_t trace_ = 0;
};

}  // namespace bop::raft::model

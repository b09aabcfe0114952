// Replicas with disks and a network, all in memory and driven step by step: nothing happens unless the test
// asks for it. The base of scenarios and of the random cluster.
#pragma once

#include <deque>
#include <list>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "checker.h"
#include "raft/core.h"
#include "raft/record.h"

namespace bop::raft::test {

// A write in progress.
struct Write {
  PersistMark mark;
  std::vector<Entry> entries;
};

// What survives a crash.
struct Disk {
  HardState hard;
  std::vector<Entry> entries;  // entry i at i - 1
  Index machine = 0;           // what the machine holds durably
  void take(const Write& write);
  Term term_at(Index index) const;
};

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
  Cluster(const Configuration& configuration, const Config& config, uint64_t seed);

  Node& node(NodeId id) { return nodes_.at(id); }
  std::map<NodeId, Node>& nodes() { return nodes_; }
  std::deque<Flight>& flights() { return flights_; }
  Checker& checker() { return checker_; }
  uint64_t trace() const { return trace_; }
  size_t quorum() const { return configuration_.voters.size() / 2 + 1; }

  void start(NodeId id);
  // Loses everything that is not durable; the `kept` oldest writes in progress complete.
  void crash(NodeId id, size_t kept);

  // An event for the node's next step.
  void propose(NodeId id, uint64_t token, std::string_view payload);
  void read(NodeId id, uint64_t token);
  void deliver(const Flight& flight);
  // The oldest write in progress completes.
  void persist(NodeId id);
  void load(NodeId id);
  void tell(NodeId id, Event event) { node(id).events.push_back(std::move(event)); }

  void step(NodeId id);
  // Log Matching among all nodes that are up, and Core::check of each.
  void check_all();

 private:
  void take_update(Node& node);
  void apply(Node& node, Index commit);
  Entry entry_of(const Node& node, Index index) const;
  size_t copies(const Entry& entry) const;
  void trace_update(const Node& node);
  void mix(uint64_t value);

  const Configuration configuration_;
  Config config_;
  std::map<NodeId, Node> nodes_;
  std::deque<Flight> flights_;
  std::map<uint64_t, Index> read_floors_;  // by token
  Checker checker_;
  Update update_;
  uint64_t seed_;
  uint64_t trace_ = 0;
};

}  // namespace bop::raft::test

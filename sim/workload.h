// Simulated clients: each sends one request at a time to some node, waits for the reply, pauses, and
// continues. Their results are checked for linearizability key by key: a key is used for a fixed number
// of operations, then checked and replaced by another.
#pragma once

#include <array>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "mem/buffer.h"
#include "port/requests.h"
#include "sim/availability.h"
#include "sim/linearizability.h"
#include "sim/node.h"
#include "sim/state_checker.h"

namespace bop::sim {

struct WorkloadOptions {
  uint32_t clients = 6;
  uint32_t keys = 4;  // in use at a time, of each group
  uint32_t operations_a_key = 150;
  Duration think_shortest = 0;
  Duration think_longest = 40 * milliseconds;
  Duration deadline_shortest = 20 * milliseconds;
  Duration deadline_longest = 3 * seconds;
  uint32_t reads_percent = 40;
  uint32_t ranges_percent = 0;    // of the reads
  uint32_t several_percent = 10;  // of the other requests: of several keys at once
  uint32_t value_bytes = 16;      // of most values
  uint32_t largest_value_bytes = 16 << 10;
  std::vector<uint32_t> group_shares;  // of the requests, by group; empty: equal ones
};

class Workload {
 public:
  Workload(Scheduler& scheduler, Thread& harness, StateChecker& checker, Availability& availability,
           std::vector<std::unique_ptr<Node>>& nodes, std::vector<GroupId> groups,
           const WorkloadOptions& options);
  Workload(const Workload&) = delete;
  Workload& operator=(const Workload&) = delete;
  ~Workload();

  void start();
  // From now on every group gets the same share of requests, half of them writes.
  void calm_down() { calm_ = true; }
  // Clients send no further requests; open ones are still answered.
  void stop() { stopped_ = true; }
  bool idle() const;

  // The process of that node ended: its unanswered requests have an unknown outcome.
  void node_ended(NodeId node);

  // Checks every key not checked yet. Idle.
  void check_all();
  // To a file, one operation a line (sim/history.h); of all checked so far.
  void write_history_to(std::FILE* file) { history_file_ = file; }

  struct Counters {
    uint64_t asked = 0, ok = 0, other = 0, refused = 0, unknown = 0, keys = 0, undecided = 0;
    uint64_t ranges = 0, too_large = 0;
    uint64_t peak_configurations = 0;
  };
  const Counters& counters() const { return counters_; }
  // When a write of that group was last answered with success.
  Instant last_write(GroupId group) const;

 private:
  class Client;
  struct Key {
    GroupId group = 0;
    std::string name;
    bool number = false;  // holds decimal numbers, most of the time
    uint32_t asked = 0;
    uint32_t open = 0;
    std::vector<Operation> history;
    std::vector<std::string> values;  // some that were written, for conditions
    uint64_t revision = 0;            // the last one heard of
  };

  GroupId pick_group(Random& random) const;
  std::shared_ptr<Key> pick_key(GroupId group, Random& random);
  void replace(uint32_t slot, GroupId group);
  void conclude(const Key& key);  // checks it when it is done with
  void check(const Key& key);

  Scheduler& scheduler_;
  Thread& harness_;
  StateChecker& checker_;
  Availability& availability_;
  std::vector<std::unique_ptr<Node>>& nodes_;
  const std::vector<GroupId> groups_;
  const WorkloadOptions options_;
  std::vector<std::unique_ptr<Client>> clients_;
  std::map<std::pair<GroupId, uint32_t>, std::shared_ptr<Key>> keys_;  // in use, by group and slot
  std::vector<std::shared_ptr<Key>> retired_;                          // done with, answers open
  uint64_t generation_ = 0;
  bool calm_ = false;
  bool stopped_ = false;
  std::FILE* history_file_ = nullptr;
  std::map<GroupId, Instant> last_write_;
  Counters counters_;
};

}  // namespace bop::sim

// Requests are answered while a majority can serve.
//
// A group is available while a majority of its nodes serve it, nothing hinders one of them, and frames pass between
// every two of them; whatever the others do. Once that has lasted for `steady_for`, a request to one of these nodes counts.
// Reported is a time of `bound` in which counted requests failed and none was answered; and, at the end, when fewer than
// `least_percent` of all counted requests were.
//
// Some faults leave the group without service as long as its leader has them, because it does not hand over for them:
// a slow disk, one without space, a machine that waits for its store. While a node has one, no group is available.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "bop/error.h"
#include "sim/network.h"
#include "sim/node.h"
#include "sim/state_checker.h"

namespace bop::sim {

struct AvailabilityOptions {
  Duration steady_for = 10 * seconds;
  Duration bound = 10 * seconds;
  // A request that is given less time may fail at any time.
  Duration least_deadline = 1 * seconds;
  uint32_t least_percent = 0;
  uint64_t least_requests = 100;  // for the percentage to mean something
};

class Availability {
 public:
  Availability(Scheduler& scheduler, Network& network, StateChecker& checker,
               std::vector<std::unique_ptr<Node>>& nodes, const AvailabilityOptions& options);

  // Until then no group is available.
  void excuse(Instant until);

  // Whether a request that reaches the node now counts.
  bool counts(GroupId group, NodeId node, Duration deadline) const;
  // The answer to a request. One that counted when it was asked still does when the group was available all the time.
  void answered(GroupId group, NodeId node, Instant asked, bop_status status, bool counted);

  // At the end of the run.
  void check_all();

  struct Counters {
    uint64_t counted = 0;
    uint64_t answered = 0;
    Duration longest_gap = 0;  // between two answers, or since the group became available
  };
  const Counters& counters() const { return counters_; }

 private:
  struct Group {
    Instant last_answer = 0;
    std::optional<Instant> first_failure;  // since the last answer
    uint64_t failures = 0;                 // since then
  };

  // Since when such a majority with that node in it (0: any) holds; nothing: it does not.
  std::optional<Instant> available_since(GroupId group, NodeId with) const;
  std::optional<Instant> serves_since(const Node& node, GroupId group) const;
  Instant excused_until() const;

  Scheduler& scheduler_;
  Network& network_;
  StateChecker& checker_;
  std::vector<std::unique_ptr<Node>>& nodes_;
  const AvailabilityOptions options_;
  Instant excused_until_ = 0;
  std::map<GroupId, Group> groups_;
  Counters counters_;
};

}  // namespace bop::sim

// Logs and counts what Raft did: turns the records of its updates into log lines, with node, group and term,
// and counts them by cause. Changes of role and leader are logged at level info, everything else at debug.
#pragma once

#include <array>
#include <span>
#include <string>

#include "base/metrics.h"
#include "raft/core.h"

namespace bop::group {

class RaftObserver {
 public:
  // Counts in `registry`, which must outlive this; nullptr: does not count.
  RaftObserver(NodeId self, const std::string& group, metrics::Registry* registry);

  // Takes the records of an update, after the step of `core`.
  void observe(const raft::Core& core, std::span<const raft::Record> records);

 private:
  // A counter for each cause that the metric has; nullptr for the others.
  using ByCause = std::array<metrics::Counter*, raft::cause_count>;
  struct Counters {
    metrics::Counter *elections_won, *votes_granted, *quiesced, *woke;
    ByCause elections{}, leader_changes{}, votes_refused{}, appends_rejected{};
  };

  void make_counters(metrics::Registry& registry, const std::string& group);
  void count(const raft::Record& record);
  void count_role(const raft::Record& record);
  void log(const raft::Core& core, const raft::Record& record) const;

  const std::string name_;  // "node 1, group kv"
  bool counts_ = false;
  Counters counters_{};
};

}  // namespace bop::group

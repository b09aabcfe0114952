// Tells what raft did: turns the records of its updates into log lines, with node, group and term, and
// counts them by cause. Roles and leaders are told at level info, everything else at debug.
#pragma once

#include <array>
#include <span>
#include <string>

#include "base/metrics.h"
#include "raft/core.h"

namespace bop::group {

class RaftObserver {
 public:
  // `registry` nullptr: nothing is counted. It outlives this.
  RaftObserver(NodeId self, const std::string& group, metrics::Registry* registry);

  // The records of an update of `core`, after its step.
  void observe(const raft::Core& core, std::span<const raft::Record> records);

 private:
  // A counter a cause, of those that a family has; others are nullptr.
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

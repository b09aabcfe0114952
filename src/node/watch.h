// Finds the conditions of a node (condition.h) from what it sees of its peers and what its shards say.
// Of the first shard's thread.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "node/cluster_view.h"
#include "node/condition.h"
#include "node/shard.h"

namespace bop::node {

class Watch {
 public:
  Watch(const ShardOptions& options, size_t shards);

  // ---- what happens ----
  void on_shard_report(uint32_t shard, std::vector<ActiveCondition> conditions);
  void refused_by(NodeId peer, const Error& reason);
  void accepted_by(NodeId peer) { refusals_.erase(peer); }
  void second_process(NodeId peer, const std::string& address, Instant now);
  void space(uint64_t free_bytes) { free_bytes_ = free_bytes; }

  // ---- what follows ----
  std::vector<ActiveCondition> check(const ClusterView& view,
                                     const std::function<bool(NodeId)>& alive, Instant now);
  // As whom two processes run; 0: nobody, as far as this node sees.
  NodeId second_process_of(Instant now) const;

 private:
  struct SecondProcess {
    std::string address;
    Instant at = 0;
  };

  bool held(Condition condition, GroupId group, bool now_true, Duration limit, Instant now);
  void check_quorums(const std::function<bool(NodeId)>& alive, Instant now,
                     std::vector<ActiveCondition>& out);
  void check_identity(const ClusterView& view, const std::function<bool(NodeId)>& alive,
                      Instant now, std::vector<ActiveCondition>& out) const;

  const ShardOptions options_;
  const size_t shards_of_node_;
  const Duration patience_;  // what depends on who is heard must have held for so long
  std::map<uint32_t, std::vector<ActiveCondition>> shards_;
  std::vector<unsigned> missed_reports_;  // by shard: checks since its last report
  std::map<NodeId, Error> refusals_;
  std::map<NodeId, SecondProcess> second_processes_;
  std::map<std::pair<Condition, GroupId>, Instant> since_;
  uint64_t free_bytes_ = UINT64_MAX;
};

}  // namespace bop::node

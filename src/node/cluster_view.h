// What this node knows of every node of the cluster: its peers by the reports that come with their
// heartbeats (docs/formats/peer.md), their addresses by their introductions. For people and metrics;
// nothing in consensus depends on it. Of the first shard's thread.
#pragma once

#include <map>
#include <vector>

#include "node/service.h"
#include "node/shard.h"
#include "port/transport.h"
#include "proto/peer_sections.h"

namespace bop::node {

// The name of a raft::Role by its number, which is part of docs/formats/peer.md.
const char* role_name(uint8_t role);

class ClusterView {
 public:
  explicit ClusterView(const ShardOptions& options);

  void introduced(NodeId peer, const port::Introduction& introduction);
  // A heartbeat of `peer`, with a report or without.
  void heard(NodeId peer, const proto::PeerSections& sections, Instant now);
  // What this node's own shards report.
  void heard_own(const std::vector<proto::GroupReport>& groups, Instant now);

  // All nodes but this one, by id. `alive` returns whether a node is heard.
  std::vector<KnownNode> peers(const std::function<bool(NodeId)>& alive, Instant now) const;

  // The addresses on which nodes that are heard accept connections of nodes, to pass on to others.
  std::vector<proto::NodeAddress> addresses(const std::function<bool(NodeId)>& alive) const;

  // Groups whose machine here lacks entries that were committed `limit` ago, wherever.
  std::vector<ActiveCondition> behind(Duration limit, Instant now) const;
  // Who sees two processes run as this node, according to reports since `from`.
  std::vector<NodeId> who_sees_a_second_process(Instant from) const;

 private:
  struct Peer {
    std::string address, native, version;
    bool introduced = false;  // `address` is its own word, not the configuration's
    bool reported = false;
    Instant heard_at = never;
    Instant reported_at = 0;
    uint64_t uptime_ms = 0;
    uint64_t conditions = 0;
    NodeId second_process_of = 0;
    std::map<GroupId, proto::GroupReport> groups;  // of those this node knows
  };
  // What the machine here is to have applied: the highest commit anybody reported at `since`.
  struct Mark {
    Index index = 0;
    Instant since = 0;
    Index applied = 0;  // here
    Index commit = 0;   // the highest reported since
  };

  void note_commit(GroupId group, Index commit);

  const NodeId self_;
  std::map<GroupId, std::string> names_;
  std::map<NodeId, Peer> peers_;
  std::map<GroupId, Mark> marks_;
};

}  // namespace bop::node

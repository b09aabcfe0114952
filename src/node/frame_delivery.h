// Takes the frames of peers apart: each item goes to the replica of its group, a heartbeat to the node, and
// a frame with items for groups of other shards also to those shards.
#pragma once

#include "node/replicas.h"
#include "node/shard.h"
#include "proto/peer.h"

namespace bop::node {

class FrameDelivery {
 public:
  FrameDelivery(const ShardOptions& options, const ShardPorts& ports, const Replicas& replicas)
      : options_(options), ports_(ports), replicas_(replicas) {}

  // Malformed, or not for this node of this cluster: PROTOCOL. The frame's memory is kept until
  // end_of_turn(), since replicas step on what lies in it.
  Status deliver(NodeId from, mem::Buffer frame);
  void end_of_turn() { decoder_.clear(); }

  // When a command was last forwarded to this shard; 0: never.
  Instant forwarded_at() const { return forwarded_at_; }

 private:
  // The other shards that the frame has items for, a bit each.
  using Shards = uint64_t;

  Shards deliver_item(NodeId from, const proto::PeerHeader& header, const proto::PeerItem& item);
  group::Replica* find(GroupId group, uint32_t generation, Shards& others) const;

  const ShardOptions& options_;
  const ShardPorts& ports_;
  const Replicas& replicas_;
  proto::PeerDecoder decoder_;
  Instant forwarded_at_ = 0;
};

}  // namespace bop::node

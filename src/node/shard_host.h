// What a shard's replicas use of it: turns, and frames to their peers.
#pragma once

#include "group/host.h"
#include "node/peer_frame_batcher.h"
#include "node/shard.h"
#include "node/turn.h"

namespace bop::node {

class ShardHost final : public group::Host {
 public:
  // `epoch` is of the shard's log.
  ShardHost(const ShardOptions& options, port::Transport& transport, uint64_t epoch, Turn& turn);

  // group::Host
  void schedule(group::Replica& replica) override { turn_.schedule(replica); }
  void send(GroupId group, const raft::Message& message) override;
  bool forward(NodeId to, GroupId group, const group::Forward& forward) override;
  uint64_t delivered_bytes(NodeId to) const override {
    return transport_.delivered_bytes(to, port::Channel::bulk);
  }
  void reply_forward(NodeId to, GroupId group, const group::ForwardReply& reply) override;

  bool fetch(NodeId from, const proto::FetchItem& item) override;
  void answer_fetch(NodeId to, const proto::ChunkItem& item) override;

  PeerFrameBatcher& frames() { return frames_; }

 private:
  port::Transport& transport_;
  PeerFrameBatcher frames_;
  Turn& turn_;
};

}  // namespace bop::node

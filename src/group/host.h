// The interface of the shard to its replicas.
#pragma once

#include "base/ids.h"
#include "base/time.h"
#include "group/origin.h"
#include "proto/peer.h"
#include "raft/types.h"

namespace bop::group {

class Replica;

// A request that a follower, the origin, forwards to the leader. It is not forwarded again.
struct Forward {
  uint64_t origin_epoch = 0;  // epoch of the origin's log
  uint64_t sequence = 0;      // increases within an origin epoch
  Term term = 0;              // a receiver that does not lead in this term refuses
  Duration time_left = 0;     // until the deadline
  mem::Buffer payload;        // the command
};

struct ForwardReply {
  uint64_t origin_epoch = 0;  // of the Forward
  uint64_t sequence = 0;      // of the Forward
  Outcome outcome;
};

class Host {
 public:
  virtual ~Host() = default;
  // Causes the replica's step() and then finish() to be called at the end of this turn.
  virtual void schedule(Replica& replica) = 0;
  virtual void send(GroupId group, const raft::Message& message) = 0;
  // False: the request was provably not sent.
  virtual bool forward(NodeId to, GroupId group, const Forward& forward) = 0;
  // Bytes that reached the node's host on the way that entries take, as far as this one knows.
  virtual uint64_t delivered_bytes(NodeId /*to*/) const { return 0; }
  virtual void reply_forward(NodeId to, GroupId group, const ForwardReply& reply) = 0;
  // Asks a node for a piece of a snapshot. False: it was not sent, because the way to it is closed or crowded.
  virtual bool fetch(NodeId /*from*/, const proto::FetchItem& /*item*/) { return false; }
  // May be dropped: the node asks again.
  virtual void answer_fetch(NodeId /*to*/, const proto::ChunkItem& /*item*/) {}
};

}  // namespace bop::group

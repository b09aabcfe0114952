// What a replica needs of the shard that hosts it.
#pragma once

#include "base/ids.h"
#include "base/time.h"
#include "group/origin.h"
#include "raft/types.h"

namespace bop::group {

class Replica;

// A follower's request, sent on to the leader it knows: one hop, never sent twice.
struct Forward {
  uint64_t origin_epoch = 0;  // of the origin
  uint64_t sequence = 0;      // rises within an origin epoch
  Term term = 0;              // the leader must lead in this term, else it refuses
  Duration time_left = 0;     // of the deadline
  mem::Buffer payload;
};

struct ForwardReply {
  uint64_t origin_epoch = 0;  // of the origin
  uint64_t sequence = 0;
  Outcome outcome;
};

class Host {
 public:
  virtual ~Host() = default;
  // Has step() and then finish() called at the end of this turn.
  virtual void schedule(Replica& replica) = 0;
  virtual void send(GroupId group, const raft::Message& message) = 0;
  // False: provably not sent.
  virtual bool forward(NodeId to, GroupId group, const Forward& forward) = 0;
  // Bytes that reached the node's host on the way that entries take, as far as this one knows.
  virtual uint64_t delivered_bytes(NodeId /*to*/) const { return 0; }
  virtual void reply_forward(NodeId to, GroupId group, const ForwardReply& reply) = 0;
};

}  // namespace bop::group

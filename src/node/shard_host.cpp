#include "node/shard_host.h"

namespace bop::node {

namespace {

proto::PeerHeader header_of(const ShardOptions& options, uint64_t epoch) {
  proto::PeerHeader header;
  header.cluster = options.cluster;
  header.from = options.self;
  header.incarnation = options.incarnation;
  header.epoch = epoch;
  return header;
}

}  // namespace

// Commands are held back from half of the queue on: the other half is left to replication.
ShardHost::ShardHost(const ShardOptions& options, port::Transport& transport, uint64_t epoch,
                     Turn& turn)
    : transport_(transport),
      frames_(header_of(options, epoch), transport, options.peer_queue_bytes / 2),
      turn_(turn) {}

// Entries, forwarded commands and their replies have a channel of their own, so that they never delay
// what a leadership depends on.
void ShardHost::send(GroupId group, const raft::Message& message) {
  const proto::RaftItem item{.group = group, .message = message};
  if (message.entries.empty() && !message.in_order)
    frames_.add(message.to, port::Channel::control, item);
  else
    frames_.add_append(message.to, item);
  turn_.request();
}

bool ShardHost::forward(NodeId to, GroupId group, const group::Forward& forward) {
  if (!frames_.open(to, port::Channel::bulk)) return false;
  frames_.add(to, port::Channel::bulk,
              proto::ForwardItem{.group = group,
                                 .sequence = forward.sequence,
                                 .leader_term = forward.term,
                                 .deadline_left = forward.time_left,
                                 .payload = forward.payload});
  turn_.request();
  return true;
}

void ShardHost::reply_forward(NodeId to, GroupId group, const group::ForwardReply& reply) {
  frames_.add(to, port::Channel::bulk,
              proto::ForwardReplyItem{.group = group,
                                      .origin_epoch = reply.origin_epoch,
                                      .sequence = reply.sequence,
                                      .status = reply.outcome.status,
                                      .index = reply.outcome.index,
                                      .leader = reply.outcome.leader,
                                      .body = mem::Buffer::copy(reply.outcome.body),
                                      .detail = reply.outcome.detail});
  turn_.request();
}

// Snapshots give way to entries: nothing of them is added while much waits for the peer.
bool ShardHost::fetch(NodeId from, const proto::FetchItem& item) {
  if (!frames_.open(from, port::Channel::bulk)) return false;
  frames_.add(from, port::Channel::bulk, item);
  turn_.request();
  return true;
}

void ShardHost::answer_fetch(NodeId to, const proto::ChunkItem& item) {
  if (!frames_.open(to, port::Channel::bulk)) return;
  frames_.add(to, port::Channel::bulk, item);
  turn_.request();
}

}  // namespace bop::node

#include "node/frame_delivery.h"

namespace bop::node {

namespace {

// A group is never removed and created again under its old id yet: all are of the first generation.
constexpr uint32_t group_generation = 0;

group::Forward forward_of(const proto::PeerHeader& header, const proto::ForwardItem& item) {
  return {.origin_epoch = header.epoch,
          .sequence = item.sequence,
          .term = item.leader_term,
          .time_left = item.deadline_left,
          .payload = item.payload};
}

group::ForwardReply reply_of(const proto::ForwardReplyItem& item) {
  group::ForwardReply out;
  out.origin_epoch = item.origin_epoch;
  out.sequence = item.sequence;
  out.outcome.status = static_cast<bop_status>(item.status);
  out.outcome.body = item.body.bytes();
  out.outcome.index = item.index;
  out.outcome.leader = item.leader;
  out.outcome.detail = item.detail;
  return out;
}

}  // namespace

Status FrameDelivery::deliver(NodeId from, mem::Buffer frame) {
  BOP_TRY_ASSIGN(const proto::PeerFrame decoded, decoder_.decode(frame));
  const proto::PeerHeader& header = decoded.header;
  if (header.cluster != options_.cluster || header.from != from || header.to != options_.self) {
    return fail(BOP_E_PROTOCOL, "a frame from node " + std::to_string(header.from) + " to node " +
                                    std::to_string(header.to) +
                                    ", not for this node of this cluster");
  }
  Shards others = 0;
  for (const proto::PeerItem& item : decoded.items) others |= deliver_item(from, header, item);
  for (uint32_t shard = 0; ports_.pass_on && shard < options_.shards; ++shard)
    if (others >> shard & 1) ports_.pass_on(shard, from, frame);
  return {};
}

// nullptr: the item is for another generation of its group, or for a group of another shard, whose bit is
// set then.
group::Replica* FrameDelivery::find(GroupId group, uint32_t generation, Shards& others) const {
  if (generation != group_generation) return nullptr;
  if (group::Replica* replica = replicas_.find(group)) return replica;
  for (const GroupSpec& spec : options_.groups)
    if (spec.id == group && spec.shard != options_.shard) others |= Shards{1} << spec.shard;
  return nullptr;
}

FrameDelivery::Shards FrameDelivery::deliver_item(NodeId from, const proto::PeerHeader& header,
                                                  const proto::PeerItem& item) {
  Shards others = 0;
  if (const auto* raft = std::get_if<proto::RaftItem>(&item)) {
    if (group::Replica* replica = find(raft->group, raft->generation, others))
      replica->receive(raft->message);
  } else if (const auto* forward = std::get_if<proto::ForwardItem>(&item)) {
    forwarded_at_ = ports_.clock.now();
    if (group::Replica* replica = find(forward->group, forward->generation, others))
      replica->receive_forward(from, forward_of(header, *forward));
  } else if (const auto* reply = std::get_if<proto::ForwardReplyItem>(&item)) {
    if (group::Replica* replica = find(reply->group, reply->generation, others))
      replica->receive_forward_reply(from, reply_of(*reply));
  } else if (const auto* fetch = std::get_if<proto::FetchItem>(&item)) {
    if (group::Replica* replica = find(fetch->group, fetch->generation, others))
      replica->receive_fetch(from, *fetch);
  } else if (const auto* chunk = std::get_if<proto::ChunkItem>(&item)) {
    if (group::Replica* replica = find(chunk->group, chunk->generation, others))
      replica->receive_chunk(from, *chunk);
  } else if (const auto* heartbeat = std::get_if<proto::HeartbeatItem>(&item)) {
    if (ports_.on_heartbeat) ports_.on_heartbeat(from, header, *heartbeat);
  }
  // The remaining kind, a hello, is for the transport.
  return others;
}

}  // namespace bop::node

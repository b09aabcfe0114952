#include "node/peer_frame_batcher.h"

namespace bop::node {

bool PeerFrameBatcher::up(NodeId to, port::Channel channel) const {
  auto found = slots_.find({to, channel});
  return found != slots_.end() && found->second.up;
}

bool PeerFrameBatcher::open(NodeId to, port::Channel channel) {
  return slot(to, channel).up && transport_.queued_bytes(to, channel) < max_queued_bytes_;
}

void PeerFrameBatcher::add_append(NodeId to, const proto::RaftItem& item) {
  add_with(to, port::Channel::bulk,
           [&](proto::PeerFrameWriter& writer) { return writer.add(item, &entries_); });
}

void PeerFrameBatcher::begin(NodeId to, Slot& slot) {
  proto::PeerHeader header = header_;
  BOP_ASSERT(!slot.begun);
  header.to = to;
  slot.writer.begin(header);
  slot.begun = true;
}

void PeerFrameBatcher::send(const Key& key, Slot& slot) {
  BOP_ASSERT(slot.begun);
  slot.begun = false;
  if (slot.writer.empty()) return;
  // A full queue drops the frame; Raft sends again what matters.
  (void)transport_.send(key.first, key.second, slot.writer.finish());
}

void PeerFrameBatcher::flush() {
  for (auto& [key, slot] : slots_)
    if (slot.begun) send(key, slot);
  entries_.clear();
}

void PeerFrameBatcher::check_invariants() const {
  for (const auto& [key, slot] : slots_) {
    BOP_ASSERT_NE(key.first, 0u);
    BOP_ASSERT_NE(key.first, header_.from);
  }
}

}  // namespace bop::node

// Gathers what a turn sends to each peer: one frame a channel, however many groups and messages.
#pragma once

#include <map>
#include <memory>

#include "base/assert.h"
#include "base/logging.h"
#include "port/transport.h"
#include "proto/peer.h"

namespace bop::node {

class PeerFrameBatcher {
 public:
  // A channel with `max_queued_bytes` waiting is not open.
  PeerFrameBatcher(const proto::PeerHeader& header, port::Transport& transport,
                   uint64_t max_queued_bytes)
      : header_(header), transport_(transport), max_queued_bytes_(max_queued_bytes) {}

  void set_channel(NodeId to, port::Channel channel, bool up) { slot(to, channel).up = up; }
  bool up(NodeId to, port::Channel channel) const;
  // Whether what is added now is likely to be sent.
  bool open(NodeId to, port::Channel channel);

  // Puts an item into the frame for `to`. What does not fit starts the next one.
  template <class Item>
  void add(NodeId to, port::Channel channel, const Item& item);
  void add_append(NodeId to, const proto::RaftItem& item);

  // Sends all frames begun; at the end of a turn.
  void flush();

  void check_invariants() const;

 private:
  // One channel to one peer.
  struct Slot {
    proto::PeerFrameWriter writer;
    bool begun = false;  // the frame has its header
    bool up = false;
  };
  using Key = std::pair<NodeId, port::Channel>;

  Slot& slot(NodeId to, port::Channel channel) { return slots_[{to, channel}]; }
  template <class Add>
  void add_with(NodeId to, port::Channel channel, Add add);
  void begin(NodeId to, Slot& slot);
  void send(const Key& key, Slot& slot);

  const proto::PeerHeader header_;
  port::Transport& transport_;
  const uint64_t max_queued_bytes_;
  std::map<Key, Slot> slots_;  // bounded by the nodes of the cluster
  proto::EntriesCache entries_;
};

template <class Add>
void PeerFrameBatcher::add_with(NodeId to, port::Channel channel, Add add) {
  BOP_ASSERT_NE(to, header_.from);
  Slot& to_slot = slot(to, channel);
  if (!to_slot.up) return;
  if (!to_slot.begun) begin(to, to_slot);
  if (add(to_slot.writer)) return;
  send({to, channel}, to_slot);
  begin(to, to_slot);
  // A frame holds more than any one item may (docs/formats/peer.md).
  if (!add(to_slot.writer)) logging::error("an item for node {} is larger than a frame", to);
}

template <class Item>
void PeerFrameBatcher::add(NodeId to, port::Channel channel, const Item& item) {
  add_with(to, channel, [&](proto::PeerFrameWriter& writer) { return writer.add(item); });
}

}  // namespace bop::node

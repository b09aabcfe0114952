// What carries frames between nodes. It may lose, duplicate, delay and reorder them, and says
// nothing of it: the core lives with that. It never alters them (frames are checksummed) and never
// makes them up.
#pragma once

#include <cstdint>
#include <span>

#include "base/ids.h"
#include "mem/buffer.h"

namespace bop::port {

// Two connections a node pair, so that appends never delay a heartbeat.
enum class Channel : uint8_t { control = 0, bulk = 1 };

class TransportReceiver {
 public:
  virtual ~TransportReceiver() = default;
  // One whole frame (docs/formats/peer.md), on the loop's thread. `from` is proven by the
  // handshake, not read from the frame.
  virtual void on_frame(NodeId from, mem::Buffer frame) = 0;
  // The channel to `node` came up or went down. Frames sent while it is down are dropped.
  virtual void on_channel(NodeId node, Channel channel, bool up) = 0;
};

class Transport {
 public:
  virtual ~Transport() = default;
  virtual void set_receiver(TransportReceiver* receiver) = 0;
  // Queues one frame, the concatenation of `parts`; written with all others of the turn in one
  // system call. False: the channel is down or its queue is full, the frame is dropped.
  virtual bool send(NodeId to, Channel channel, std::span<const mem::Buffer> parts) = 0;
  // Bytes queued and not yet given to the network.
  virtual uint64_t queued_bytes(NodeId to, Channel channel) const = 0;
};

}  // namespace bop::port

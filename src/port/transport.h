// Carries frames between nodes. It may lose, duplicate, delay and reorder frames without a word: the
// core copes with that. It never alters a frame (frames are checksummed) and never invents one.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "base/ids.h"
#include "base/result.h"
#include "mem/buffer.h"

namespace bop::port {

// Two connections a node pair, so that appends never delay a heartbeat.
enum class Channel : uint8_t { control = 0, bulk = 1 };

// What a node says of itself when a connection is made. Empty or 0: an older version that does not say.
struct Introduction {
  uint64_t instance = 0;  // random, of the process: two processes with one node id differ
  std::string address;    // where it takes connections of nodes
  std::string native;     // and of native clients
};

// All calls are made on the loop's thread.
class TransportReceiver {
 public:
  virtual ~TransportReceiver() = default;
  // One whole frame (docs/formats/peer.md). `from` is proven by the handshake, not read from the frame.
  // An error means that the frame is malformed: the transport closes the connection that brought it.
  virtual Status on_frame(NodeId from, mem::Buffer frame) = 0;
  // The channel to `node` came up or went down. Frames sent while it is down are dropped.
  virtual void on_channel(NodeId node, Channel channel, bool up) = 0;

  // The handshake with `node` succeeded.
  virtual void on_introduced(NodeId /*node*/, const Introduction& /*introduction*/) {}
  // `node` refused this node by name (WRONG_CLUSTER, WRONG_INCARNATION and the like). Called at each
  // attempt; over once a channel to it is up.
  virtual void on_refused(NodeId /*node*/, const Error& /*reason*/) {}
  // A second process, at `address`, runs with the identity of `node`, which is connected and alive.
  // Called at each attempt of the second process.
  virtual void on_second_process(NodeId /*node*/, const std::string& /*address*/) {}
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
  // Bytes that reached the peer's host on the connection that the channel has now; 0 while it is down, and
  // where that is not known. Rises until the connection is replaced.
  virtual uint64_t delivered_bytes(NodeId /*to*/, Channel /*channel*/) const { return 0; }
  // Another node is connected with `node` and says that it is reached at `address`: a way to try when
  // the configured address fails.
  virtual void learn_address(NodeId /*node*/, const std::string& /*address*/) {}
};

}  // namespace bop::port

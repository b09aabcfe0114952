// Carries frames between nodes. It may lose, duplicate, delay and reorder frames without notice; the core
// tolerates that. It never alters a frame (frames have checksums) and never makes one up.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "base/ids.h"
#include "base/result.h"
#include "mem/buffer.h"

namespace bop::port {

// Each pair of nodes has two connections, so that appends never delay a heartbeat.
enum class Channel : uint8_t { control = 0, bulk = 1 };

// What a node tells its peer in the handshake. Empty or 0: its version does not send the field.
struct Introduction {
  uint64_t instance = 0;  // random, drawn by each process: two processes with one node id differ
  std::string address;    // on which it accepts connections of nodes
  std::string native;     // on which it accepts connections of native clients
};

// All calls are made on the loop's thread.
class TransportReceiver {
 public:
  virtual ~TransportReceiver() = default;
  // One whole frame (docs/formats/peer.md). `from` was established by the handshake, not read from the
  // frame.
  // An error means that the frame is malformed: the transport closes the connection that brought it.
  virtual Status on_frame(NodeId from, mem::Buffer frame) = 0;
  // The channel to `node` came up or went down. Frames sent while it is down are dropped.
  virtual void on_channel(NodeId node, Channel channel, bool up) = 0;

  // The handshake with `node` succeeded.
  virtual void on_introduced(NodeId /*node*/, const Introduction& /*introduction*/) {}
  // `node` refused this node, with WRONG_CLUSTER, WRONG_INCARNATION or the like. Called at each attempt,
  // until a channel to it is up.
  virtual void on_refused(NodeId /*node*/, const Error& /*reason*/) {}
  // A second process, at `address`, runs with the identity of `node`, which is connected and alive.
  // Called at each attempt of the second process.
  virtual void on_second_process(NodeId /*node*/, const std::string& /*address*/) {}
};

class Transport {
 public:
  virtual ~Transport() = default;
  virtual void set_receiver(TransportReceiver* receiver) = 0;
  // Queues one frame, the concatenation of `parts`. All frames of a turn are written with one system call.
  // False: the channel is down or its queue is full, and the frame is dropped.
  virtual bool send(NodeId to, Channel channel, std::span<const mem::Buffer> parts) = 0;
  // Bytes that are queued and not yet passed to the network.
  virtual uint64_t queued_bytes(NodeId to, Channel channel) const = 0;
  // Bytes that reached the peer's host on the connection that the channel has now; 0 while it is down, and
  // where that is not known. Rises until the connection is replaced.
  virtual uint64_t delivered_bytes(NodeId /*to*/, Channel /*channel*/) const { return 0; }
  // Another node is connected with `node` and says that it is reached at `address`: a way to try when
  // the configured address fails.
  virtual void learn_address(NodeId /*node*/, const std::string& /*address*/) {}
};

}  // namespace bop::port

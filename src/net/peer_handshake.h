// The handshake of two nodes. The transport knows no format: it cuts frames by their prefix and leaves the
// first frames of both sides to this interface.
//
//   node that connects                        node that accepts
//     hello(to, channel)         ───────────►   read_hello: which peer is it, is it accepted?
//     read_answer                ◄───────────   answer: accepted or refused
//     answer, if it refuses      ───────────►   read_refusal
//
// After that, frames are sent both ways. WRONG_CLUSTER, VERSION_MISMATCH, WRONG_INCARNATION,
// DIRECTORY_IN_USE and the like are logged once until a connection succeeds; the node that connects keeps
// trying, at its longest interval.
#pragma once

#include "base/ids.h"
#include "base/result.h"
#include "mem/buffer.h"
#include "port/transport.h"

namespace bop::net {

class PeerHandshake {
 public:
  virtual ~PeerHandshake() = default;

  virtual mem::Buffer hello(NodeId to, port::Channel channel) = 0;

  struct Greeting {
    NodeId from = 0;  // 0: unknown; such a hello is not answered
    port::Channel channel = port::Channel::control;
    Status verdict;  // an error: the peer is refused
    port::Introduction introduction;
  };
  virtual Greeting read_hello(const mem::Buffer& frame) = 0;
  // Makes the answer to a hello of `to`: accepted, or refused with the error.
  virtual mem::Buffer answer(NodeId to, port::Channel channel, const Status& verdict) = 0;
  // Reads the answer of `from`, to which this node connected. Either side can refuse the other:
  struct Answer {
    Status verdict;        // of this node on `from`
    Status their_verdict;  // of `from` on this node
    port::Introduction introduction;
  };
  virtual Answer read_answer(NodeId from, port::Channel channel, const mem::Buffer& frame) = 0;
  // Reads the first frame after the hello of `from`, which connected and was accepted: the error with which
  // it refuses this node, or success for any other frame.
  virtual Status read_refusal(NodeId from, const mem::Buffer& frame) = 0;
};

// The prefix of a frame: u32 magic, u32 size of the whole frame, both little-endian.
struct PeerFrameShape {
  uint32_t magic = 0;
  uint32_t min_bytes = 8;
  uint32_t max_bytes = 8u << 20;
  uint32_t max_hello_bytes = 16u << 10;  // of the first frame, whose sender is not known yet
};

}  // namespace bop::net

// Who a node is to its peers. The transport knows no format: it cuts frames by their prefix, and asks
// the handshake for the first frame of each side and what it means.
//
//   caller                                         called
//     hello(to, channel)            ───────────►      read_hello: is it one of ours? which?
//     read_answer                ◄───────────      answer, also when it refuses
//     answer, when it refuses    ───────────►      read_refusal
//
// Then frames flow both ways. WRONG_CLUSTER, VERSION_MISMATCH, WRONG_INCARNATION, DIRECTORY_IN_USE and the
// like are logged once until a connection succeeds; the caller goes on trying, at its longest interval.
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
    NodeId from = 0;  // 0: not known, and then it is not answered
    port::Channel channel = port::Channel::control;
    Status verdict;
    port::Introduction introduction;
  };
  virtual Greeting read_hello(const mem::Buffer& frame) = 0;
  // The answer to a hello of `to`: accepted, or why not.
  virtual mem::Buffer answer(NodeId to, port::Channel channel, const Status& verdict) = 0;
  // The answer of `from`, whom we called. An error of theirs and one of ours are told apart:
  struct Answer {
    Status verdict;        // of this node on `from`
    Status their_verdict;  // of `from` on this node
    port::Introduction introduction;
  };
  virtual Answer read_answer(NodeId from, port::Channel channel, const mem::Buffer& frame) = 0;
  // The first frame of `from`, who called and was accepted: an error when it refuses this node after all.
  virtual Status read_refusal(NodeId from, const mem::Buffer& frame) = 0;
};

// How a frame begins: u32 magic, u32 size of the whole frame, both little-endian.
struct PeerFrameShape {
  uint32_t magic = 0;
  uint32_t min_bytes = 8;
  uint32_t max_bytes = 8u << 20;
  uint32_t max_hello_bytes = 16u << 10;  // of the first frame, from whomever
};

}  // namespace bop::net

// Who a node is to its peers. The transport knows no format: it cuts frames by their prefix, and asks
// this for the first one each side sends.
//
//   caller (the lower node id)                     called
//     hello(to, channel)            ───────────►      judge_hello: is it one of ours? which?
//     judge_answer               ◄───────────      its answer, also when it refuses
//
// Then frames flow both ways. WRONG_CLUSTER, VERSION_MISMATCH, WRONG_INCARNATION and the like are
// logged once until a connection succeeds; the caller goes on trying, at its longest interval.
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
    NodeId from = 0;  // 0: not known
    port::Channel channel = port::Channel::control;
    Status verdict;
    mem::Buffer answer;  // empty: they are told nothing
  };
  virtual Greeting judge_hello(const mem::Buffer& frame) = 0;
  // The answer of `from`, whom we called.
  virtual Status judge_answer(NodeId from, port::Channel channel, const mem::Buffer& frame) = 0;
};

// How a frame begins: u32 magic, u32 size of the whole frame, both little-endian.
struct PeerFrameShape {
  uint32_t magic = 0;
  uint32_t min_bytes = 8;
  uint32_t max_bytes = 8u << 20;
  uint32_t max_hello_bytes = 16u << 10;  // of the first frame, from whomever
};

}  // namespace bop::net

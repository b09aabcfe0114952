// How nodes greet each other: the handshake that net's transport asks for, in the codec of proto,
// with the memory of node.
#pragma once

#include <functional>

#include "net/peer_handshake.h"
#include "node/directory.h"
#include "node/incarnations.h"
#include "proto/peer.h"

namespace bop::capi {

class Handshake final : public net::PeerHandshake {
 public:
  // `learned` is called when a peer was met for the first time, to save what is remembered.
  Handshake(const node::Identity& identity, node::Incarnations incarnations,
            std::function<void(const node::Incarnations&)> learned);

  mem::Buffer hello(NodeId to, port::Channel channel) override;
  Greeting judge_hello(const mem::Buffer& frame) override;
  Status judge_answer(NodeId from, port::Channel channel, const mem::Buffer& frame) override;

 private:
  proto::PeerHeader header_to(NodeId to) const;
  Status judge(const proto::PeerHeader& header, uint64_t bootstrap);
  mem::Buffer answer(NodeId to, port::Channel channel, const Status& verdict);

  const node::Identity identity_;
  node::Incarnations incarnations_;
  const std::function<void(const node::Incarnations&)> learned_;
  proto::PeerFrameWriter writer_;
  proto::PeerDecoder decoder_;
};

}  // namespace bop::capi

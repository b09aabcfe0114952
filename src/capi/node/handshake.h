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
  // `learned` is called when there is something to save: a peer was met for the first time, or an
  // earlier save failed. It calls saved() on this thread, once, when the save ended.
  Handshake(const node::Identity& identity, port::Introduction introduction,
            node::Incarnations incarnations,
            std::function<void(const node::Incarnations&)> learned);

  void saved(const Status& status);
  // Saves again what an earlier save failed to.
  void save_if_changed();

  mem::Buffer hello(NodeId to, port::Channel channel) override;
  Greeting read_hello(const mem::Buffer& frame) override;
  mem::Buffer answer(NodeId to, port::Channel channel, const Status& verdict) override;
  Answer read_answer(NodeId from, port::Channel channel, const mem::Buffer& frame) override;
  Status read_refusal(NodeId from, const mem::Buffer& frame) override;

 private:
  proto::PeerHeader header_to(NodeId to) const;
  Status judge(const proto::PeerHeader& header, uint64_t bootstrap);
  std::vector<uint8_t> sections() const;

  const node::Identity identity_;
  const port::Introduction introduction_;
  node::Incarnations incarnations_;
  const std::function<void(const node::Incarnations&)> learned_;
  bool saving_ = false;
  proto::PeerFrameWriter writer_;
  proto::PeerDecoder decoder_;
};

}  // namespace bop::capi

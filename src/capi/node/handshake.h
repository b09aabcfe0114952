// The handshake between nodes: implements net's interface with proto's codec and node's incarnations.
#pragma once

#include <functional>

#include "net/peer_handshake.h"
#include "node/directory.h"
#include "node/incarnations.h"
#include "proto/peer.h"

namespace bop::capi {

class Handshake final : public net::PeerHandshake {
 public:
  // `learned` is called when the incarnations must be saved: a new peer connected, or save_if_changed() retries a
  // failed save. The callee calls saved() on this thread, once, when the save has ended.
  Handshake(const node::Identity& identity, port::Introduction introduction,
            node::Incarnations incarnations,
            std::function<void(const node::Incarnations&)> learned);

  void saved(const Status& status);
  // Starts a save if incarnations were added since the last successful one and none is in progress.
  void save_if_changed();

  mem::Buffer hello(NodeId to, port::Channel channel) override;
  Greeting read_hello(const mem::Buffer& frame) override;
  mem::Buffer answer(NodeId to, port::Channel channel, const Status& verdict) override;
  Answer read_answer(NodeId from, port::Channel channel, const mem::Buffer& frame) override;
  Status read_refusal(NodeId from, const mem::Buffer& frame) override;

 private:
  proto::PeerHeader header_to(NodeId to) const;
  Status validate(const proto::PeerHeader& header, uint64_t bootstrap);
  std::vector<uint8_t> sections() const;

  const node::Identity identity_;
  const port::Introduction introduction_;
  node::Incarnations incarnations_;
  const std::function<void(const node::Incarnations&)> learned_;
  bool saving_ = false;  // `learned` was called and saved() was not
  proto::PeerFrameWriter writer_;
  proto::PeerDecoder decoder_;
};

}  // namespace bop::capi

// port::Transport over TCP: each pair of nodes has two connections, one for each channel, used both ways.
//
// Both nodes connect, so that a node whose address changed is found through its own attempts. The one with
// the lower id connects first, the other when the channel was down for longest_retry. Each attempt goes to
// the configured address and, if that fails, to the address in the peer's last introduction, or to one that
// another node has reported since; a learned address that fails is forgotten. So two nodes that moved at the
// same time find each other through a third one. The node at a learned address has to prove its identity as
// at the configured one. One channel:
//
//             retry timer            connected            answer accepted
//    waiting ────────────► dialling ───────────► greeting ───────────────► up ──┐
//     ▲ │ │                   │ │ failed            │ │ refused, no answer ▲     │ closed, silent,
//     │ │ └───────────────────┼─┴───────────────────┼─┴────────────────────┘     │ no progress,
//     │ └── hello accepted, answer sent ────────────┘                            │ a bad frame
//     └──────────────────────────────────────────────────────────────────────────┘
//
// A hello is accepted in every state but one: the node that connects first refuses it while it waits for
// the answer to its own hello, so that one connection remains when both sides connect at the same time.
// A hello for a channel that is up replaces the connection if it comes from the same process, which knows
// that its end is closed. For a hello of another process, PeerIdentity (peer_identity.h) decides.
//
// A frame is dropped, and send() returns false, when its channel is not up or its queue is full. Frames in
// a connection that breaks are lost.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/metrics.h"
#include "base/random.h"
#include "base/result.h"
#include "net/acceptor.h"
#include "net/address.h"
#include "net/peer_handshake.h"
#include "net/stream.h"
#include "port/timer.h"
#include "port/transport.h"

namespace bop::net {

struct PeerAddress {
  NodeId id = 0;
  Address address;
};

struct PeerOptions {
  NodeId self = 0;
  Address listen;
  std::vector<PeerAddress> peers;  // without this node
  PeerFrameShape frames;

  uint64_t max_queued_control_bytes = 4u << 20;
  uint64_t max_queued_bulk_bytes = 64u << 20;
  Duration connect_limit = 1 * seconds;      // for connecting, and again for the handshake
  Duration first_retry = 20 * milliseconds;  // the wait doubles with each failure ...
  Duration longest_retry = 1 * seconds;      // ... up to this
  // Both channels of a peer are closed and connected again when nothing arrived on its control channel for
  // this time (heartbeats keep it busy). One channel is closed when bytes are queued on it, or sent and not
  // acknowledged, and none made progress for this time. never: not checked.
  Duration silence_limit = 3 * seconds;
  // So long the bulk channel's bytes may queue on the path, where heartbeats would queue behind them. 0: not limited.
  Duration max_bulk_delay = 250 * milliseconds;
  // A process that was heard within this time is alive, and another one with its node id is refused.
  Duration identity_patience = 1 * seconds;
  bool local_only = false;    // learned addresses beyond loopback are ignored
  size_t max_strangers = 64;  // connections without a hello yet; one more closes the oldest
  uint64_t seed = 1;          // for the jitter of retries
};

class PeerTransport final : public port::Transport {
 public:
  // Begins to listen; start() begins to connect. `handshake` and `registry` must outlive it. Errors as of
  // Acceptor::listen.
  static Result<std::unique_ptr<PeerTransport>> open(Streams& streams, const PeerOptions& options,
                                                     PeerHandshake& handshake,
                                                     metrics::Registry& registry);
  ~PeerTransport() override;

  // Before start(), or nullptr.
  void set_receiver(port::TransportReceiver* receiver) override { receiver_ = receiver; }
  void start();

  bool send(NodeId to, port::Channel channel, std::span<const mem::Buffer> parts) override;
  uint64_t queued_bytes(NodeId to, port::Channel channel) const override;
  uint64_t delivered_bytes(NodeId to, port::Channel channel) const override;
  void learn_address(NodeId node, const std::string& address) override;

  bool up(NodeId node, port::Channel channel) const;
  const Address& address() const { return acceptor_->address(); }  // with the port in use

  struct Counters {
    // `peer`: the value of the label of that name.
    Counters(metrics::Registry& registry, const std::string& peer);
    metrics::Counter &sent_frames, &sent_bytes;
    metrics::Counter &received_frames, &received_bytes;
    metrics::Counter& dropped_frames;
    metrics::Counter &connects, &refusals;
    metrics::Counter &bad_frames, &stalls, &second_processes;
  };
  // Of the connections to `node`; those of all nodes that are no peers are counted together.
  const Counters& counters(NodeId node) const;

  // Closes the channels to `node` as if they had broken; they are connected again as usual. For tests.
  void cut(NodeId node);

 private:
  class Stranger;
  struct Peer;

  PeerTransport(Streams& streams, const PeerOptions& options, PeerHandshake& handshake,
                metrics::Registry& registry);
  Peer* find(NodeId node) const;
  void welcome(std::unique_ptr<Connection> connection);
  void dismiss(std::unique_ptr<Connection> connection, const Error& reason);
  void on_hello(Stranger& stranger, const mem::Buffer& frame);
  Status check(const PeerHandshake::Greeting& greeting, const std::string& address);
  Status admit(NodeId node, const port::Introduction& introduction, const std::string& address);
  void introduce(Peer& peer, port::Introduction introduction, const std::string& address);
  void log_refused(NodeId from, const std::string& address, const Error& reason);
  void check_silence();

  Streams& streams_;
  const PeerOptions options_;
  PeerHandshake& handshake_;
  port::TransportReceiver* receiver_ = nullptr;
  Random random_;
  Counters stranger_counters_;
  std::vector<std::unique_ptr<Peer>> peers_;          // by id
  std::vector<std::unique_ptr<Stranger>> strangers_;  // the oldest first
  Instant log_strangers_from_ = 0;  // when the next refused stranger may be logged
  std::unique_ptr<port::Timer> silence_timer_;
  std::unique_ptr<Acceptor> acceptor_;  // last: it calls into this object
};

}  // namespace bop::net

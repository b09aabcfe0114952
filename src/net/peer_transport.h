// port::Transport over TCP: two connections a node pair, one a channel, used both ways.
//
// The node with the lower id calls. One channel, at the caller and at the called:
//
//             retry timer            connected            answer accepted
//    waiting ────────────► dialling ───────────► greeting ───────────────► up ──┐
//       ▲                     │ failed              │ refused, no answer        │ closed, silent
//       └─────────────────────┴─────────────────────┴───────────────────────────┘
//
//    down ────────────────────────── hello accepted, answer sent ─────────► up ──► down
//
// A new hello for a channel that is up replaces its connection: the caller knows best.
// A frame is dropped, and send says so, when its channel is not up or has its fill queued; frames of a
// connection that breaks are lost.
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
  Duration connect_limit = 1 * seconds;  // of connecting, and again of the handshake
  Duration first_retry = 20 * milliseconds;
  Duration longest_retry = 1 * seconds;
  // A peer whose control channel brought nothing for so long is cut off on both channels, so that they are
  // made anew: what keeps it lively are the node's heartbeats. never: not looked at.
  Duration silence_limit = 3 * seconds;
  size_t max_strangers = 64;  // connections that have not said who they are
  uint64_t seed = 1;          // of the jitter of retries
};

class PeerTransport final : public port::Transport {
 public:
  // Listens at once, calls with start(). `handshake` and `registry` must outlive it. ADDRESS_IN_USE
  // and the like.
  static Result<std::unique_ptr<PeerTransport>> open(Streams& streams, const PeerOptions& options,
                                                     PeerHandshake& handshake,
                                                     metrics::Registry& registry);
  ~PeerTransport() override;

  // Before start(), or nullptr.
  void set_receiver(port::TransportReceiver* receiver) override { receiver_ = receiver; }
  void start();

  bool send(NodeId to, port::Channel channel, std::span<const mem::Buffer> parts) override;
  uint64_t queued_bytes(NodeId to, port::Channel channel) const override;

  bool up(NodeId node, port::Channel channel) const;
  const Address& address() const { return acceptor_->address(); }  // with the port that was had

  struct Counters {
    explicit Counters(metrics::Registry& registry);
    metrics::Counter &sent_frames, &sent_bytes;
    metrics::Counter &received_frames, &received_bytes;
    metrics::Counter& dropped_frames;
    metrics::Counter &connects, &refusals;
  };
  const Counters& counters() const { return counters_; }

  // Closes the channels to `node` as if they broke; they come again by themselves. For tests.
  void cut(NodeId node);

 private:
  class Stranger;
  struct Peer;

  PeerTransport(Streams& streams, const PeerOptions& options, PeerHandshake& handshake,
                metrics::Registry& registry);
  Peer* find(NodeId node) const;
  void welcome(std::unique_ptr<Connection> connection);
  void on_hello(Stranger& stranger, const mem::Buffer& frame);
  Status judge(PeerHandshake::Greeting& greeting) const;
  void say_refused(NodeId from, const std::string& address, const Error& reason);
  void check_silence();

  Streams& streams_;
  const PeerOptions options_;
  PeerHandshake& handshake_;
  port::TransportReceiver* receiver_ = nullptr;
  Random random_;
  Counters counters_;
  std::vector<std::unique_ptr<Peer>> peers_;          // by id
  std::vector<std::unique_ptr<Stranger>> strangers_;  // the oldest first
  Instant say_strangers_from_ = 0;                    // not one line for each of a flood
  std::unique_ptr<port::Timer> silence_timer_;
  std::unique_ptr<Acceptor> acceptor_;  // last: it calls
};

}  // namespace bop::net

#include "net/peer_transport.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "base/logging.h"
#include "net/peer_channel.h"
#include "net/peer_frame.h"

namespace bop::net {

namespace {

constexpr Duration pause_between_lines = 10 * seconds;

}  // namespace

struct PeerTransport::Peer {
  Peer(const PeerChannel::Owner& owner, const PeerAddress& address)
      : id(address.id),
        control(owner, address, port::Channel::control),
        bulk(owner, address, port::Channel::bulk) {}

  PeerChannel& channel(port::Channel which) {
    return which == port::Channel::control ? control : bulk;
  }

  const NodeId id;
  PeerChannel control;
  PeerChannel bulk;
  bop_status said_refusal = BOP_OK;
};

// A connection that has not said whose it is, or was told to go.
class PeerTransport::Stranger final : public StreamHandler {
 public:
  Stranger(PeerTransport& transport, std::unique_ptr<Connection> connection)
      : transport_(transport),
        connection_(std::move(connection)),
        timer_(transport.streams_.loop().make_timer([this] { send_away(); })) {
    timer_->arm(transport.streams_.loop().now() + transport.options_.connect_limit);
    connection_->start(*this);
  }

  const std::string& address() const { return connection_->peer(); }
  void answer(const mem::Buffer& frame) { connection_->append(frame); }
  void finish(Error reason) { connection_->finish(std::move(reason)); }
  std::unique_ptr<Connection> release() { return std::move(connection_); }

  // Away with it, later: it may be what calls.
  void send_away() {
    auto& all = transport_.strangers_;
    const auto self =
        std::find_if(all.begin(), all.end(), [&](auto& s) { return s.get() == this; });
    BOP_ASSERT(self != all.end());
    std::shared_ptr<Stranger> leaving = std::move(*self);
    all.erase(self);
    timer_->cancel();
    connection_.reset();
    transport_.streams_.loop().post([leaving = std::move(leaving)]() mutable { leaving.reset(); });
  }

  Consumed on_bytes(const mem::Buffer& bytes) override {
    const PeerFrameShape& shape = transport_.options_.frames;
    const auto size = peer_frame_size(bytes.bytes(), shape, shape.max_hello_bytes);
    if (!size) {
      transport_.say_refused(0, address(), size.error());
      send_away();
      return {};
    }
    if (*size == 0 || bytes.size() < *size) return {0, std::max(*size, peer_prefix_bytes)};
    transport_.on_hello(*this, bytes.slice(0, *size));
    return {*size};
  }
  void on_closed(const Error&) override { send_away(); }

 private:
  PeerTransport& transport_;
  std::unique_ptr<Connection> connection_;
  std::unique_ptr<port::Timer> timer_;
};

Result<std::unique_ptr<PeerTransport>> PeerTransport::open(Streams& streams,
                                                           const PeerOptions& options,
                                                           PeerHandshake& handshake,
                                                           metrics::Registry& registry) {
  std::unique_ptr<PeerTransport> transport(
      new PeerTransport(streams, options, handshake, registry));
  ListenOptions listen;
  listen.address = options.listen;
  listen.limits.max_message_bytes = options.frames.max_hello_bytes;
  listen.limits.first_block_bytes = 1024;
  // More than there can be: strangers are bounded by sending the oldest away.
  listen.max_connections = 2 * options.max_strangers + 4 * options.peers.size() + 16;
  PeerTransport* called = transport.get();
  BOP_TRY_ASSIGN(transport->acceptor_,
                 Acceptor::listen(streams.loop(), listen,
                                  {{&streams, [called](std::unique_ptr<Connection> connection) {
                                      called->welcome(std::move(connection));
                                    }}}));
  return transport;
}

PeerTransport::Counters::Counters(metrics::Registry& registry)
    : sent_frames(registry.counter("bop_peer_sent_frames_total", "Frames queued for peers")),
      sent_bytes(registry.counter("bop_peer_sent_bytes_total", "Bytes queued for peers")),
      received_frames(registry.counter("bop_peer_received_frames_total", "Frames of peers")),
      received_bytes(registry.counter("bop_peer_received_bytes_total", "Bytes of peers' frames")),
      dropped_frames(registry.counter("bop_peer_dropped_frames_total",
                                      "Frames for a peer that was down or had its queue full")),
      connects(registry.counter("bop_peer_connects_total", "Connections to peers that came up")),
      refusals(registry.counter("bop_peer_refusals_total", "Peers' hellos that were refused")) {}

PeerTransport::PeerTransport(Streams& streams, const PeerOptions& options, PeerHandshake& handshake,
                             metrics::Registry& registry)
    : streams_(streams),
      options_(options),
      handshake_(handshake),
      random_(options.seed),
      counters_(registry),
      silence_timer_(streams.loop().make_timer([this] { check_silence(); })) {
  const PeerChannel::Owner owner{streams_, options_, handshake_, random_, counters_, receiver_};
  for (const PeerAddress& peer : options_.peers) {
    BOP_ASSERT_NE(peer.id, options_.self);
    peers_.push_back(std::make_unique<Peer>(owner, peer));
  }
  std::sort(peers_.begin(), peers_.end(), [](auto& a, auto& b) { return a->id < b->id; });
}

PeerTransport::~PeerTransport() = default;

void PeerTransport::start() {
  for (auto& peer : peers_) {
    peer->control.start();
    peer->bulk.start();
  }
  check_silence();
}

PeerTransport::Peer* PeerTransport::find(NodeId node) const {
  const auto at = std::lower_bound(peers_.begin(), peers_.end(), node,
                                   [](auto& peer, NodeId id) { return peer->id < id; });
  return at != peers_.end() && (*at)->id == node ? at->get() : nullptr;
}

bool PeerTransport::send(NodeId to, port::Channel channel, std::span<const mem::Buffer> parts) {
  Peer* peer = find(to);
  BOP_ASSERT(peer != nullptr);
  return peer->channel(channel).send(parts);
}

uint64_t PeerTransport::queued_bytes(NodeId to, port::Channel channel) const {
  Peer* peer = find(to);
  return peer != nullptr ? peer->channel(channel).queued_bytes() : 0;
}

bool PeerTransport::up(NodeId node, port::Channel channel) const {
  Peer* peer = find(node);
  return peer != nullptr && peer->channel(channel).up();
}

void PeerTransport::cut(NodeId node) {
  if (Peer* peer = find(node)) {
    peer->control.cut("cut");
    peer->bulk.cut("cut");
  }
}

void PeerTransport::check_silence() {
  if (options_.silence_limit == never) return;
  const Instant now = streams_.loop().now();
  for (auto& peer : peers_) {
    if (!peer->control.up() || now - peer->control.last_heard() < options_.silence_limit) continue;
    peer->control.cut("nothing was heard for too long");
    peer->bulk.cut("nothing was heard for too long");
  }
  silence_timer_->arm(now + options_.silence_limit / 4);
}

// ---- who calls ----

void PeerTransport::welcome(std::unique_ptr<Connection> connection) {
  if (strangers_.size() >= options_.max_strangers) strangers_.front()->send_away();
  strangers_.push_back(std::make_unique<Stranger>(*this, std::move(connection)));
}

// The transport's own rule, after the handshake's: a known peer calls one that it is to call.
Status PeerTransport::judge(PeerHandshake::Greeting& greeting) const {
  BOP_TRY(std::exchange(greeting.verdict, Status()));
  if (find(greeting.from) != nullptr && greeting.from < options_.self) return {};
  greeting.answer = {};
  return fail(BOP_E_PROTOCOL, "a hello of node " + std::to_string(greeting.from) +
                                  ", which is no peer that calls this one");
}

void PeerTransport::on_hello(Stranger& stranger, const mem::Buffer& frame) {
  PeerHandshake::Greeting greeting = handshake_.judge_hello(frame);
  const Status verdict = judge(greeting);
  if (!greeting.answer.empty()) stranger.answer(greeting.answer);
  if (!verdict) {
    counters_.refusals.add();
    say_refused(greeting.from, stranger.address(), verdict.error());
    stranger.finish(verdict.error());
    return;
  }
  Peer& peer = *find(greeting.from);
  peer.said_refusal = BOP_OK;
  std::unique_ptr<Connection> connection = stranger.release();
  stranger.send_away();
  peer.channel(greeting.channel).take(std::move(connection));
}

// Once for a peer and a reason, until it is welcome; of others, one line in ten seconds.
void PeerTransport::say_refused(NodeId from, const std::string& address, const Error& reason) {
  if (Peer* peer = find(from)) {
    if (std::exchange(peer->said_refusal, reason.code) == reason.code) return;
  } else {
    const Instant now = streams_.loop().now();
    if (now < say_strangers_from_) return;
    say_strangers_from_ = now + pause_between_lines;
  }
  logging::error("refused a connection from {}{} to the port for nodes: {}", address,
                 from != 0 ? " (node " + std::to_string(from) + ")" : "", reason.to_string());
}

}  // namespace bop::net

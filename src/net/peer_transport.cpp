#include "net/peer_transport.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "base/logging.h"
#include "net/peer_channel.h"
#include "net/peer_frame.h"
#include "net/peer_identity.h"

namespace bop::net {

namespace {

constexpr Duration pause_between_lines = 10 * seconds;

}  // namespace

struct PeerTransport::Peer {
  Peer(const PeerChannel::Owner& owner, metrics::Registry& registry, const PeerAddress& address)
      : id(address.id),
        counters(registry, std::to_string(address.id)),
        identity(owner.options.identity_patience),
        control(owner, counters, address, port::Channel::control),
        bulk(owner, counters, address, port::Channel::bulk) {}

  PeerChannel& channel(port::Channel which) {
    return which == port::Channel::control ? control : bulk;
  }
  bool up() const { return control.up() || bulk.up(); }
  // When bytes last arrived on a channel that is up; 0: none is.
  Instant last_heard() const {
    return std::max(control.up() ? control.last_heard() : 0, bulk.up() ? bulk.last_heard() : 0);
  }

  const NodeId id;
  Counters counters;
  PeerIdentity identity;
  PeerChannel control;
  PeerChannel bulk;
  bop_status logged_refusal = BOP_OK;
};

// A connection whose hello has not arrived yet, or that was refused and is being closed.
class PeerTransport::Stranger final : public StreamHandler {
 public:
  Stranger(PeerTransport& transport, std::unique_ptr<Connection> connection)
      : transport_(transport),
        connection_(std::move(connection)),
        timer_(transport.streams_.loop().make_timer([this] { send_away(); })) {
    timer_->arm(transport.streams_.loop().now() + transport.options_.connect_limit);
  }

  void start() { connection_->start(*this); }
  // For a connection that belonged to a channel.
  void dismiss(const Error& reason) {
    connection_->hand_over(*this, PeerChannel::limits(transport_.options_, port::Channel::control));
    finish(reason);
  }

  const std::string& address() const { return connection_->peer(); }
  void answer(const mem::Buffer& frame) { connection_->append(frame); }
  void finish(Error reason) { connection_->finish(std::move(reason)); }
  std::unique_ptr<Connection> release() { return std::move(connection_); }

  // Closes the connection at once and destroys this object in a later turn, since its own functions call
  // this.
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
      transport_.log_refused(0, address(), size.error());
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
  // More than there can be, since the oldest stranger is closed when there are too many.
  listen.max_connections = 2 * options.max_strangers + 4 * options.peers.size() + 16;
  PeerTransport* called = transport.get();
  BOP_TRY_ASSIGN(transport->acceptor_,
                 Acceptor::listen(streams.loop(), listen,
                                  {{&streams, [called](std::unique_ptr<Connection> connection) {
                                      called->welcome(std::move(connection));
                                    }}}));
  return transport;
}

PeerTransport::Counters::Counters(metrics::Registry& registry, const std::string& peer)
    : sent_frames(registry.counter("bop_peer_sent_frames_total", "Frames queued for peers",
                                   {{"peer", peer}})),
      sent_bytes(registry.counter("bop_peer_sent_bytes_total", "Bytes queued for peers",
                                  {{"peer", peer}})),
      received_frames(
          registry.counter("bop_peer_received_frames_total", "Frames of peers", {{"peer", peer}})),
      received_bytes(registry.counter("bop_peer_received_bytes_total", "Bytes of peers' frames",
                                      {{"peer", peer}})),
      dropped_frames(registry.counter("bop_peer_dropped_frames_total",
                                      "Frames dropped because the peer was down or its queue full",
                                      {{"peer", peer}})),
      connects(registry.counter("bop_peer_connects_total", "Connections with peers established",
                                {{"peer", peer}})),
      refusals(registry.counter("bop_peer_refusals_total", "Hellos of peers that were refused",
                                {{"peer", peer}})),
      bad_frames(registry.counter("bop_peer_bad_frames_total",
                                  "Malformed frames of peers, each of which closed its connection",
                                  {{"peer", peer}})),
      stalls(registry.counter("bop_peer_stalled_total",
                              "Connections with peers closed because queued bytes were not sent",
                              {{"peer", peer}})),
      second_processes(registry.counter(
          "bop_peer_second_process_total",
          "Hellos of a second process with the node id of a connected peer", {{"peer", peer}})) {}

PeerTransport::PeerTransport(Streams& streams, const PeerOptions& options, PeerHandshake& handshake,
                             metrics::Registry& registry)
    : streams_(streams),
      options_(options),
      handshake_(handshake),
      random_(options.seed),
      stranger_counters_(registry, "unknown"),
      silence_timer_(streams.loop().make_timer([this] { check_silence(); })) {
  const PeerChannel::Owner owner{
      .streams = streams_,
      .options = options_,
      .handshake = handshake_,
      .random = random_,
      .receiver = receiver_,
      .admit = [this](NodeId node, const port::Introduction& introduction,
                      const std::string& address) { return admit(node, introduction, address); },
      .dismiss = [this](std::unique_ptr<Connection> connection,
                        const Error& reason) { dismiss(std::move(connection), reason); }};
  for (const PeerAddress& peer : options_.peers) {
    BOP_ASSERT_NE(peer.id, options_.self);
    peers_.push_back(std::make_unique<Peer>(owner, registry, peer));
  }
  std::sort(peers_.begin(), peers_.end(), [](auto& a, auto& b) { return a->id < b->id; });
}

PeerTransport::~PeerTransport() = default;

const PeerTransport::Counters& PeerTransport::counters(NodeId node) const {
  const Peer* peer = find(node);
  return peer != nullptr ? peer->counters : stranger_counters_;
}

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

uint64_t PeerTransport::delivered_bytes(NodeId to, port::Channel channel) const {
  Peer* peer = find(to);
  return peer != nullptr ? peer->channel(channel).delivered_bytes() : 0;
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
    if (peer->control.up() && now - peer->control.last_heard() >= options_.silence_limit) {
      const std::string why = "nothing was received for " +
                              std::to_string((now - peer->control.last_heard()) / milliseconds) +
                              " ms";
      peer->control.cut(why);
      peer->bulk.cut(why);
    }
    peer->control.check_progress();
    peer->bulk.check_progress();
  }
  silence_timer_->arm(now + options_.silence_limit / 4);
}

// ---- accepting ----

void PeerTransport::welcome(std::unique_ptr<Connection> connection) {
  if (strangers_.size() >= options_.max_strangers) strangers_.front()->send_away();
  strangers_.push_back(std::make_unique<Stranger>(*this, std::move(connection)));
  strangers_.back()->start();
}

void PeerTransport::dismiss(std::unique_ptr<Connection> connection, const Error& reason) {
  if (strangers_.size() >= options_.max_strangers) strangers_.front()->send_away();
  strangers_.push_back(std::make_unique<Stranger>(*this, std::move(connection)));
  strangers_.back()->dismiss(reason);
}

// Accepts the process that the peer's channels are connected to, and the node's next process; for the
// latter, the channels of the old one are closed first.
Status PeerTransport::admit(NodeId node, const port::Introduction& introduction,
                            const std::string& address) {
  Peer& peer = *find(node);
  const Instant now = streams_.loop().now();
  switch (peer.identity.judge(introduction.instance, peer.up(), peer.last_heard(), now)) {
    case PeerIdentity::Verdict::same: introduce(peer, introduction, address); return {};
    case PeerIdentity::Verdict::next:
      peer.control.cut("the node was restarted");
      peer.bulk.cut("the node was restarted");
      introduce(peer, introduction, address);
      return {};
    case PeerIdentity::Verdict::wait:
      return fail(BOP_E_UNAVAILABLE,
                  "an earlier connection of node " + std::to_string(node) + " is still in use");
    case PeerIdentity::Verdict::second: break;
  }
  peer.counters.second_processes.add();
  if (receiver_ != nullptr) receiver_->on_second_process(node, address);
  return fail(BOP_E_DIRECTORY_IN_USE, "two processes run as node " + std::to_string(node) +
                                          ": one is connected, another is at " + address +
                                          "; was a data directory copied?");
}

// A node that listens on all addresses is reached at the one that its connection came from.
void PeerTransport::introduce(Peer& peer, port::Introduction introduction,
                              const std::string& address) {
  auto told = parse_address(introduction.address);
  const auto from = parse_address(address);
  if (told && from && told->is_unspecified()) {
    told->host = from->host;
    introduction.address = told->to_string();
  }
  learn_address(peer.id, introduction.address);
  if (receiver_ != nullptr) receiver_->on_introduced(peer.id, introduction);
}

void PeerTransport::learn_address(NodeId node, const std::string& text) {
  Peer* peer = find(node);
  const auto address = parse_address(text);
  if (peer == nullptr || !address || address->is_unix() || address->is_unspecified()) return;
  if (address->port == 0 || (options_.local_only && !address->is_local())) return;
  peer->control.learn(*address);
  peer->bulk.learn(*address);
}

// The checks of the transport, after those of the handshake.
Status PeerTransport::check(const PeerHandshake::Greeting& greeting, const std::string& address) {
  BOP_TRY(greeting.verdict);
  Peer* peer = find(greeting.from);
  if (peer == nullptr) {
    return fail(BOP_E_PROTOCOL,
                "node " + std::to_string(greeting.from) + " is not a peer of this node");
  }
  if (peer->channel(greeting.channel).awaits_answer())
    return fail(BOP_E_UNAVAILABLE, "this node is connecting to the peer itself");
  return admit(greeting.from, greeting.introduction, address);
}

void PeerTransport::on_hello(Stranger& stranger, const mem::Buffer& frame) {
  const PeerHandshake::Greeting greeting = handshake_.read_hello(frame);
  const Status verdict = check(greeting, stranger.address());
  // A node that is not a peer gets no answer, unless the handshake itself refused it.
  const bool told = greeting.from != 0 && (!greeting.verdict || find(greeting.from) != nullptr);
  if (told) stranger.answer(handshake_.answer(greeting.from, greeting.channel, verdict));
  if (!verdict) {
    if (verdict.error().code != BOP_E_UNAVAILABLE) {
      Peer* peer = find(greeting.from);
      (peer != nullptr ? peer->counters : stranger_counters_).refusals.add();
      log_refused(greeting.from, stranger.address(), verdict.error());
    }
    stranger.finish(verdict.error());
    return;
  }
  Peer& peer = *find(greeting.from);
  peer.logged_refusal = BOP_OK;
  std::unique_ptr<Connection> connection = stranger.release();
  stranger.send_away();
  peer.channel(greeting.channel).take(std::move(connection));
}

// Logged once for each peer and reason until the peer is accepted; for other senders, one line every 10 s.
void PeerTransport::log_refused(NodeId from, const std::string& address, const Error& reason) {
  if (Peer* peer = find(from)) {
    if (std::exchange(peer->logged_refusal, reason.code) == reason.code) return;
  } else {
    const Instant now = streams_.loop().now();
    if (now < log_strangers_from_) return;
    log_strangers_from_ = now + pause_between_lines;
  }
  logging::error("refused a connection from {}{} to the port for nodes: {}", address,
                 from != 0 ? " (node " + std::to_string(from) + ")" : "", reason.to_string());
}

}  // namespace bop::net

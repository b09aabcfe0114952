#include "sim/network.h"

#include <algorithm>
#include <deque>
#include <set>
#include <utility>

#include "base/assert.h"
#include "base/checksum.h"

namespace bop::sim {

namespace {

constexpr uint64_t million = 1'000'000;
constexpr std::array channels{port::Channel::control, port::Channel::bulk};

mem::Buffer concatenate(std::span<const mem::Buffer> parts) {
  size_t size = 0;
  for (const mem::Buffer& part : parts) size += part.size();
  mem::Block* const block = mem::allocate_block(size);
  const mem::Buffer frame(block, block->data(), size);
  uint8_t* into = block->data();
  for (const mem::Buffer& part : parts) into = std::copy_n(part.data(), part.size(), into);
  return frame;
}

}  // namespace

class Network::End : public port::Transport {
 public:
  End(Network& network, NodeId node, Thread& thread)
      : network_(network), node_(node), thread_(thread) {}

  void set_receiver(port::TransportReceiver* receiver) override { receiver_ = receiver; }
  bool send(NodeId to, port::Channel channel, std::span<const mem::Buffer> parts) override {
    return network_.send(node_, to, channel, parts);
  }
  uint64_t queued_bytes(NodeId to, port::Channel channel) const override {
    return network_.queued_bytes(node_, to, channel);
  }

  Thread& thread() { return thread_; }
  port::TransportReceiver* receiver() { return receiver_; }

  bool running = false;
  uint64_t life = 0;  // raised by each start: what was meant for an earlier one does not arrive
  std::set<std::pair<NodeId, port::Channel>> told_up;  // in this life

 private:
  Network& network_;
  const NodeId node_;
  Thread& thread_;
  port::TransportReceiver* receiver_ = nullptr;
};

struct Network::Direction {
  bool cut = false;
  uint64_t largest_frame = ~uint64_t{0};
  LinkQuality quality;
};

struct Network::Connection {
  // What one end writes.
  struct Stream {
    struct Frame {
      Instant leaves;
      uint64_t bytes;
    };
    std::deque<Frame> queue;
    uint64_t queued_bytes = 0;
    Instant free_at = 0;
    Instant last_arrival = 0;

    void advance(Instant now) {
      while (!queue.empty() && queue.front().leaves <= now) {
        queued_bytes -= queue.front().bytes;
        queue.pop_front();
      }
    }
  };

  Connection(NodeId low, NodeId high, port::Channel channel)
      : low(low), high(high), channel(channel) {}
  Stream& stream_from(NodeId from) { return from == low ? from_low : from_high; }

  const NodeId low;
  const NodeId high;
  const port::Channel channel;
  bool up = false;
  uint64_t epoch = 0;  // of frames on their way: those of an earlier one are lost
  EventId pending;     // to connect or to notice
  Stream from_low;
  Stream from_high;
};

Network::Network(Scheduler& scheduler, Thread& harness, const NetworkOptions& options)
    : scheduler_(scheduler),
      harness_(harness),
      options_(options),
      random_(scheduler.random("network")) {}

Network::~Network() = default;

port::Transport& Network::add_node(NodeId node, Thread& thread) {
  BOP_ASSERT(!ends_.contains(node));
  for (const auto& [other, end] : ends_) {
    for (const NodeId from : {node, other}) {
      directions_[{from, from == node ? other : node}].quality = options_.quality;
    }
    const Pair pair = std::minmax(node, other);
    for (const port::Channel channel : channels) {
      connections_[{pair, channel}] =
          std::make_unique<Connection>(pair.first, pair.second, channel);
    }
  }
  ends_[node] = std::make_unique<End>(*this, node, thread);
  return *ends_[node];
}

void Network::start_node(NodeId node) {
  End& end = *ends_.at(node);
  BOP_ASSERT(!end.running);
  end.running = true;
  ++end.life;
  end.told_up.clear();
  review_all(node);
}

void Network::end_node(NodeId node, bool peers_hear) {
  End& end = *ends_.at(node);
  BOP_ASSERT(end.running);
  end.running = false;
  end.set_receiver(nullptr);
  for (auto& [key, connection] : connections_) {
    if (connection->low != node && connection->high != node) continue;
    if (peers_hear && connection->up) break_down(*connection);
    review(*connection);
  }
}

void Network::note_change(NodeId a, NodeId b) { changed_[std::minmax(a, b)] = scheduler_.now(); }

std::optional<Instant> Network::passes_since(NodeId a, NodeId b) const {
  for (const auto& pair : {Pair{a, b}, Pair{b, a}}) {
    const Direction& direction = directions_.at(pair);
    if (direction.cut || direction.largest_frame != ~uint64_t{0}) return {};
  }
  for (const port::Channel channel : channels)
    if (!connections_.at({std::minmax(a, b), channel})->up) return {};
  return changed_.at(std::minmax(a, b));
}

void Network::cut(NodeId from, NodeId to) {
  note_change(from, to);
  direction(from, to).cut = true;
  for (const port::Channel channel : channels) review(connection(from, to, channel));
}

void Network::reset(NodeId a, NodeId b) {
  for (const port::Channel channel : channels) {
    Connection& connection = this->connection(a, b, channel);
    if (!connection.up) continue;
    ++counters_.reset;
    break_down(connection);
    review(connection);
  }
}

void Network::isolate(NodeId node) {
  for (const auto& [other, end] : ends_) {
    if (other == node) continue;
    cut(node, other);
    cut(other, node);
  }
}

void Network::heal(NodeId from, NodeId to) {
  note_change(from, to);
  direction(from, to).cut = false;
  direction(from, to).largest_frame = ~uint64_t{0};
  for (const port::Channel channel : channels) review(connection(from, to, channel));
}

void Network::heal_all() {
  for (auto& [pair, direction] : directions_) {
    if (!direction.cut && direction.largest_frame == ~uint64_t{0}) continue;
    note_change(pair.first, pair.second);
    direction.cut = false;
    direction.largest_frame = ~uint64_t{0};
  }
  for (auto& [key, connection] : connections_) review(*connection);
}

bool Network::is_cut(NodeId from, NodeId to) const { return directions_.at({from, to}).cut; }

void Network::set_quality(NodeId from, NodeId to, const LinkQuality& quality) {
  direction(from, to).quality = quality;
}

void Network::set_quality(const LinkQuality& quality) {
  for (auto& [pair, direction] : directions_) direction.quality = quality;
}

void Network::drop_frames_above(NodeId from, NodeId to, uint64_t bytes) {
  note_change(from, to);
  direction(from, to).largest_frame = bytes;
}

void Network::watch(const Connection& connection, NodeId from, Bytes frame,
                    std::string_view fate) const {
  const NodeId to = from == connection.low ? connection.high : connection.low;
  if (watch_) watch_(from, to, connection.channel, frame, fate);
}

Network::Connection& Network::connection(NodeId a, NodeId b, port::Channel channel) {
  return *connections_.at({std::minmax(a, b), channel});
}

Network::Direction& Network::direction(NodeId from, NodeId to) {
  return directions_.at({from, to});
}

bool Network::passable(const Connection& connection) const {
  return ends_.at(connection.low)->running && ends_.at(connection.high)->running &&
         !is_cut(connection.low, connection.high) && !is_cut(connection.high, connection.low);
}

void Network::review(Connection& connection) {
  const bool wants_up = passable(connection);
  if (wants_up == connection.up) {
    harness_.cancel(connection.pending);
    return;
  }
  if (harness_.scheduled(connection.pending)) return;
  if (wants_up) {
    const Duration delay = random_.between(options_.dial_shortest, options_.dial_longest);
    connection.pending =
        harness_.after(delay, "connect", [this, &connection] { connect(connection); });
  } else {
    const Duration delay = random_.between(options_.notice_shortest, options_.notice_longest);
    connection.pending = harness_.after(delay, "break", [this, &connection] {
      break_down(connection);
      review(connection);
    });
  }
}

void Network::review_all(NodeId node) {
  for (auto& [key, connection] : connections_) {
    if (connection->low != node && connection->high != node) continue;
    // The peers did not notice that the node was away: its new process answers with a reset.
    if (connection->up) break_down(*connection);
    review(*connection);
  }
}

void Network::connect(Connection& connection) {
  BOP_ASSERT(!connection.up);
  BOP_ASSERT(passable(connection));
  connection.up = true;
  note_change(connection.low, connection.high);
  ++connection.epoch;
  connection.from_low = {};
  connection.from_high = {};
  ++counters_.connected;
  tell(connection.low, connection.high, connection.channel, true);
  tell(connection.high, connection.low, connection.channel, true);
}

void Network::break_down(Connection& connection) {
  BOP_ASSERT(connection.up);
  harness_.cancel(connection.pending);
  connection.up = false;
  note_change(connection.low, connection.high);
  ++connection.epoch;
  ++counters_.broken;
  tell(connection.low, connection.high, connection.channel, false);
  tell(connection.high, connection.low, connection.channel, false);
}

void Network::tell(NodeId node, NodeId peer, port::Channel channel, bool up) {
  End& end = *ends_.at(node);
  if (!end.running) return;
  const std::pair key{peer, channel};
  if (up ? !end.told_up.insert(key).second : end.told_up.erase(key) == 0) return;
  const uint64_t content = peer * 4 + static_cast<uint64_t>(channel) * 2 + (up ? 1 : 0);
  end.thread().after(
      0, "channel",
      [&end, life = end.life, peer, channel, up] {
        if (end.running && end.life == life && end.receiver() != nullptr) {
          end.receiver()->on_channel(peer, channel, up);
        }
      },
      content);
}

bool Network::send(NodeId from, NodeId to, port::Channel channel,
                   std::span<const mem::Buffer> parts) {
  BOP_ASSERT_NE(from, to);
  if (!ends_.contains(to)) return false;
  Connection& connection = this->connection(from, to, channel);
  Connection::Stream& stream = connection.stream_from(from);
  stream.advance(scheduler_.now());
  const mem::Buffer frame = concatenate(parts);
  if (!connection.up || stream.queued_bytes + frame.size() > options_.max_queued_bytes) {
    ++counters_.refused;
    watch(connection, from, frame.bytes(), "refused");
    return false;
  }
  ++counters_.sent;
  if (watch_control_ && channel == port::Channel::control) watch_control_(frame);

  const Direction& direction = this->direction(from, to);
  const LinkQuality& quality = direction.quality;
  const auto transmission = static_cast<Duration>(frame.size() * static_cast<uint64_t>(seconds) /
                                                  quality.bytes_per_second);
  stream.free_at = std::max(stream.free_at, scheduler_.now()) + transmission;
  stream.queue.push_back({stream.free_at, frame.size()});
  stream.queued_bytes += frame.size();

  const bool lost = direction.cut || random_.chance(quality.lost, million);
  const bool too_large = frame.size() > direction.largest_frame;
  if (lost || too_large) {
    ++counters_.lost;
    watch(connection, from, frame.bytes(), lost ? "lost" : "too large");
    return true;
  }
  Instant arrival = stream.free_at + random_.between(quality.shortest, quality.longest);
  if (random_.chance(quality.overtaken, million)) {
    ++counters_.overtaken;
    arrival += random_.between(0, quality.overtaken_by);
  } else {
    arrival = stream.last_arrival = std::max(arrival, stream.last_arrival);
  }
  const uint64_t hash = hash64(frame.bytes(), from);
  deliver(connection, from, to, arrival, frame, hash);
  if (random_.chance(quality.repeated, million)) {
    ++counters_.repeated;
    deliver(connection, from, to, arrival + random_.between(0, quality.overtaken_by), frame, hash);
  }
  return true;
}

void Network::deliver(Connection& connection, NodeId from, NodeId to, Instant arrival,
                      mem::Buffer frame, uint64_t hash) {
  End& end = *ends_.at(to);
  end.thread().at(
      arrival, "frame",
      [this, &connection, &end, epoch = connection.epoch, from,
       frame = std::move(frame)]() mutable {
        if (connection.epoch != epoch ||
            is_cut(from, from == connection.low ? connection.high : connection.low)) {
          ++counters_.lost;
          watch(connection, from, frame.bytes(), "lost");
          return;
        }
        if (end.receiver() == nullptr) return;
        ++counters_.delivered;
        watch(connection, from, frame.bytes(), "arrives");
        // This network alters no frame: one that is refused was written wrong.
        const Status taken = end.receiver()->on_frame(from, std::move(frame));
        BOP_ASSERT(taken);
      },
      hash);
}

uint64_t Network::queued_bytes(NodeId from, NodeId to, port::Channel channel) const {
  const auto found = connections_.find({std::minmax(from, to), channel});
  if (found == connections_.end()) return 0;
  Connection::Stream& stream = found->second->stream_from(from);
  stream.advance(scheduler_.now());
  return stream.queued_bytes;
}

}  // namespace bop::sim

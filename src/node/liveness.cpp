#include "node/liveness.h"

#include "base/assert.h"

namespace bop::node {

Liveness::Liveness(const Options& options, const port::Clock& clock, port::Timers& timers,
                   Listener& listener)
    : options_(options), clock_(clock), listener_(listener) {
  BOP_ASSERT_GT(options_.interval, 0);
  BOP_ASSERT_GT(options_.timeout, options_.interval);
  for (NodeId peer : options_.peers) peers_[peer] = {};
  timer_ = timers.make_timer([this] { send_heartbeats(); });
}

void Liveness::start() { send_heartbeats(); }

void Liveness::send_heartbeats() {
  const Instant now = clock_.now();
  for (auto& [node, peer] : peers_) {
    listener_.send_heartbeat(node, {options_.epoch, healthy_shards_});
    if (peer.alive && now - peer.heard_at >= options_.timeout) lose(node, peer);
  }
  timer_->arm(now + options_.interval);
}

void Liveness::set_healthy_shards(uint64_t bits) {
  if (bits == healthy_shards_) return;
  healthy_shards_ = bits;
  for (const auto& [node, peer] : peers_)
    listener_.send_heartbeat(node, {options_.epoch, healthy_shards_});
}

void Liveness::heard(NodeId from, const Heartbeat& heartbeat) {
  auto found = peers_.find(from);
  if (found == peers_.end()) return;
  Peer& peer = found->second;
  // Delayed from before its restart. A node that was lost may come back with a lower epoch (Node::epoch).
  if (peer.alive && heartbeat.epoch < peer.last.epoch) return;
  const bool was_alive = peer.alive;
  const bool restarted = peer.last.epoch != 0 && heartbeat.epoch != peer.last.epoch;
  const bool fell_ill = (peer.last.healthy_shards & ~heartbeat.healthy_shards) != 0;
  peer.alive = true;
  peer.heard_at = clock_.now();
  peer.last = heartbeat;
  if (restarted || fell_ill) listener_.node_lost(from);
  if (!was_alive || restarted || fell_ill) listener_.node_alive(from);
}

void Liveness::disconnected(NodeId node) {
  auto found = peers_.find(node);
  if (found != peers_.end() && found->second.alive) lose(node, found->second);
}

bool Liveness::alive(NodeId node) const {
  auto found = peers_.find(node);
  return found != peers_.end() && found->second.alive;
}

void Liveness::lose(NodeId node, Peer& peer) {
  BOP_ASSERT(peer.alive);
  peer.alive = false;
  listener_.node_lost(node);
}

}  // namespace bop::node

#include "raft/handover.h"

#include <tuple>

#include "raft/become.h"
#include "raft/quiesce.h"
#include "raft/seeded_bugs.h"

namespace bop::raft {

namespace {

// After an attempt that no voter completed, the leader serves as well as it can for this many election timeouts.
constexpr int64_t timeouts_between_attempts = 4;

// As far as this leader knows, from a recent reply: the voter could serve as leader, and its log takes entries.
bool can_serve(const State& s, const Progress& peer) {
  if (!peer.voter() || !peer.alive || !peer.matched) return false;
  if (peer.hindered && !seeded(Bug::hand_over_to_hindered)) return false;
  return peer.log_capacity == LogCapacity::available &&
         peer.stage == Progress::Stage::replicating &&
         s.now - peer.answered_at < s.config.election_timeout;
}

bool has_been_sent_all(const State& s, const Progress& peer) { return peer.next > s.last(); }
bool holds_all(const State& s, const Progress& peer) { return peer.match == s.last(); }

const Progress* find_voter(const State& s, bool (*is)(const State&, const Progress&)) {
  for (const Progress& peer : s.peers)
    if (can_serve(s, peer) && is(s, peer)) return &peer;
  return nullptr;
}

void end_transfer(State& s) {
  s.transfer_to = 0;
  s.handover_ends = never;
}

void continue_transfer(State& s) {
  const Progress* const target = s.find_peer(s.transfer_to);
  if (target == nullptr || !target->voter() || s.now >= s.handover_ends) return end_transfer(s);
  if (target->matched && holds_all(s, *target))
    return step_down(s, Cause::transfer_asked, target->id);
}

void hand_over_if_hindered(State& s) {
  if (s.hindrance == Cause::none) {
    s.handover_ends = never;
    return;
  }
  if (seeded(Bug::lead_hindered)) return;
  if (!hands_over(s)) {
    if (s.now < s.handover_after || find_voter(s, has_been_sent_all) == nullptr) return;
    s.handover_ends = s.now + s.config.election_timeout;
  }
  if (const Progress* successor = find_voter(s, holds_all)) {
    s.handover_after = s.now + s.config.handover_interval;
    return step_down(s, s.hindrance, successor->id);
  }
  if (s.now < s.handover_ends) return;
  s.handover_ends = never;
  s.handover_after = s.now + timeouts_between_attempts * s.config.election_timeout;
}

}  // namespace

void transfer(State& s, const Transfer& event) {
  if (!s.leads()) return;
  const NodeId target = event.target != 0 ? event.target : best_successor(s);
  const Progress* const peer = s.find_peer(target);
  if (peer == nullptr || !peer->voter()) return;
  s.transfer_to = target;
  s.handover_ends = s.now + event.within;
  if (s.all_quiesced) wake(s, Cause::transfer_asked);
}

void hand_over_if_due(State& s) {
  BOP_ASSERT(s.leads());
  return s.transfer_to != 0 ? continue_transfer(s) : hand_over_if_hindered(s);
}

NodeId best_successor(const State& s) {
  const auto rank = [&s](const Progress& peer) {
    return std::tuple(peer.match, can_serve(s, peer), peer.round);
  };
  const Progress* best = nullptr;
  for (const Progress& peer : s.peers)
    if (peer.voter() && (best == nullptr || rank(peer) > rank(*best))) best = &peer;
  return best != nullptr ? best->id : 0;
}

}  // namespace bop::raft

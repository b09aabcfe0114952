#include "raft/quiesce.h"

#include "raft/election.h"
#include "raft/reads.h"

namespace bop::raft {

namespace {

// Quiesced peers send nothing.
void restart_quorum_check(State& s) {
  for (Progress& peer : s.peers) peer.heard_at = s.now;
}

bool every_peer_quiesced(const State& s) {
  for (const Progress& peer : s.peers)
    if (!peer.quiesced) return false;
  return true;
}

void reset_quiescing(State& s) {
  s.quiesce_round = 0;
  for (Progress& peer : s.peers) peer.quiesced = false;
}

}  // namespace

// Learners count, too: a quiesced leader would never send them the entries that they lack. A hindered leader
// waits for a voter that can take over, of which it learns by replies.
bool can_quiesce(const State& s) {
  const Index last = s.last();
  if (s.hindrance != Cause::none) return false;
  if (!s.config.quiesce || !s.leads() || s.commit != last || s.persists.durable != last)
    return false;
  for (const Progress& peer : s.peers) {
    if (!peer.alive || peer.stage != Progress::Stage::replicating) return false;
    if (peer.match != last || peer.commit != last) return false;
  }
  return true;
}

void start_quiescing(State& s) {
  if (!can_quiesce(s))
    reset_quiescing(s);
  else if (s.quiesce_round == 0 && s.heartbeat_due)
    s.quiesce_round = s.round;
}

void wake(State& s, Cause cause) {
  BOP_ASSERT(s.leads());
  s.wake_cause = cause;
  reset_quiescing(s);
  if (s.all_quiesced) restart_quorum_check(s);
  s.all_quiesced = false;
  s.heartbeat_at = s.now;
}

void wake_follower(State& s, Cause cause) {
  if (!s.quiesced) return;
  s.wake_cause = cause;
  s.quiesced = false;
  arm_election(s);
}

void update_quiesced(State& s) {
  if (!s.leads()) return;
  const bool quiesced = s.quiesce_round != 0 && every_peer_quiesced(s) && reads_waiting(s) == 0;
  if (s.all_quiesced && !quiesced) {
    restart_quorum_check(s);
    s.heartbeat_at = s.now + s.config.heartbeat_interval;
  }
  s.all_quiesced = quiesced;
}

void record_quiescing(State& s) {
  const bool quiesced = s.quiesced || s.all_quiesced;
  if (quiesced == s.recorded_quiesced) return;
  s.recorded_quiesced = quiesced;
  if (quiesced)
    record(s, RecordKind::quiesced);
  else
    record(s, RecordKind::woke, s.wake_cause);
}

}  // namespace bop::raft

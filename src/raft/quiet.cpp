#include "raft/quiet.h"

#include "raft/reads.h"

namespace bop::raft {

namespace {

void restart_quorum_check(State& s) {
  s.quorum_check_at = s.now + s.config.election_timeout;
  s.quorum_check_round = s.round + 1;
}

bool all_quiet(const State& s) {
  for (const Progress& peer : s.peers)
    if (!peer.quiet) return false;
  return true;
}

void forget_quiet(State& s) {
  s.quiet_round = 0;
  for (Progress& peer : s.peers) peer.quiet = false;
}

}  // namespace

// Learners too: a sleeping leader would never bring them what they lack.
bool is_calm(const State& s) {
  const Index last = s.last();
  if (!s.config.quiet || !s.leads() || s.commit != last || s.persists.durable != last) return false;
  for (const Progress& peer : s.peers) {
    if (peer.stage != Progress::Stage::replicating) return false;
    if (peer.match != last || peer.commit != last) return false;
  }
  return true;
}

void quiet_down(State& s) {
  if (!is_calm(s))
    forget_quiet(s);
  else if (s.quiet_round == 0 && s.heartbeat_due)
    s.quiet_round = s.round;
}

void wake(State& s) {
  BOP_ASSERT(s.leads());
  forget_quiet(s);
  if (s.asleep) restart_quorum_check(s);
  s.asleep = false;
  s.heartbeat_at = s.now;
}

void update_sleep(State& s) {
  if (!s.leads()) return;
  const bool sleeps = s.quiet_round != 0 && all_quiet(s) && reads_waiting(s) == 0;
  if (s.asleep && !sleeps) {
    restart_quorum_check(s);
    s.heartbeat_at = s.now + s.config.heartbeat_interval;
  }
  s.asleep = sleeps;
}

}  // namespace bop::raft

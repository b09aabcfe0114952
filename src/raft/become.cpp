#include "raft/become.h"

#include "raft/election.h"
#include "raft/members.h"
#include "raft/propose.h"
#include "raft/reads.h"
#include "raft/replicate.h"
#include "raft/seeded_bugs.h"

namespace bop::raft {

namespace {

// The state machine drawn in core.h. Who may not stand is a learner instead of a follower.
bool is_legal(Role from, Role to) {
  if (to == Role::follower || to == Role::learner) return true;
  switch (from) {
    case Role::follower: return to == Role::pre_candidate;
    case Role::pre_candidate: return to == Role::pre_candidate || to == Role::candidate;
    case Role::candidate: return to == Role::pre_candidate || to == Role::leader;
    case Role::leader:
    case Role::learner: return false;
  }
  return false;
}

Role passive_role(const State& s) { return may_stand(s) ? Role::follower : Role::learner; }

void change_role(State& s, Role to) {
  BOP_ASSERT(is_legal(s.role, to));
  BOP_ASSERT(to == Role::leader || may_stand(s) == (to != Role::learner));
  if (s.role != to) s.update->role_changed = true;
  s.role = to;
}

void set_leader(State& s, NodeId leader) {
  if (s.leader == leader) return;
  s.leader = leader;
  s.quiesced = false;
  s.reply = {};
  refuse_reads(s);
  s.update->role_changed = true;
}

Standing standing(const State& s) { return {s.role, s.hard.term, s.leader}; }

void record_role(State& s, const Standing& before, Reason why) {
  record(s, RecordKind::role, why.cause, why.node).before = before;
}

void record_change(State& s, const Standing& before, Reason why) {
  if (standing(s) != before) record_role(s, before, why);
}

// Discards everything that was known about the previous term.
void enter_term(State& s, Term term, NodeId vote) {
  BOP_ASSERT_GT(term, s.hard.term);
  s.hard = {term, vote};
  if (!seeded(Bug::match_survives_term)) s.match = 0;
  s.reply = {};
  s.pending_vote_reply = 0;
  s.granted_by_self = false;
  for (Progress& peer : s.peers) peer.granted = false;
  s.update->role_changed = true;
}

void stop_leading(State& s, NodeId successor) {
  for (const Progress& peer : s.peers) {
    Message& notice = send(s, peer.id, MessageKind::step_down_notice);
    notice.ok = peer.id == successor;
    notice.hindered = s.hindrance != Cause::none;
  }
  refuse_reads(s);
  for (Progress& peer : s.peers) {
    start_probing(s, peer, s.last() + 1);
    peer.quiesced = false;
  }
  s.heartbeat_at = s.commit_update_at = never;
  s.heartbeat_due = s.round_due = s.commit_update_due = false;
  s.quiesce_round = 0;
  s.all_quiesced = false;
  s.handover_ends = never;
  s.transfer_to = 0;
}

void start_leading(State& s) {
  // Rounds of this term have this number or a higher one.
  ++s.round;
  s.heartbeat_at = s.now + s.config.heartbeat_interval;
  s.election_at = never;
  s.leader_term = s.hard.term;
  s.deferred = false;
  for (Progress& peer : s.peers) start_progress(s, peer);
}

}  // namespace

void start_progress(State& s, Progress& peer) {
  start_probing(s, peer, s.last() + 1);
  peer.matched = peer.hindered = false;
  if (!seeded(Bug::leader_keeps_match)) peer.match = 0;
  peer.received = peer.commit = peer.told_commit = 0;
  peer.progress_at = peer.heard_at = s.now;
  peer.delivered_bytes = 0;
  peer.round = 0;
  peer.quiesced = peer.load_failed = false;
  peer.log_capacity = LogCapacity::available;
  peer.window_bytes = std::max<size_t>(s.config.max_append_bytes / 4, 1);
}

void become_follower(State& s, Term term, NodeId leader, Reason why) {
  BOP_ASSERT_GE(term, s.hard.term);
  const Standing before = standing(s);
  if (s.leads()) stop_leading(s, 0);
  if (term > s.hard.term) enter_term(s, term, 0);
  if (seeded(Bug::forget_vote_of_term) && leader != 0) s.hard.vote = 0;
  change_role(s, passive_role(s));
  set_leader(s, leader);
  arm_election(s);
  record_change(s, before, why);
}

void become_pre_candidate(State& s, Reason why) {
  const Standing before = standing(s);
  change_role(s, Role::pre_candidate);
  set_leader(s, 0);
  for (Progress& peer : s.peers) peer.granted = false;
  s.granted_by_self = true;  // a pre-vote promises nothing, so nothing has to be durable
  arm_election(s);
  record_role(s, before, why);
}

// Paper §5.2: "increments its current term [...] votes for itself".
void become_candidate(State& s) {
  const Standing before = standing(s);
  change_role(s, Role::candidate);
  enter_term(s, s.hard.term + 1, s.config.self);
  arm_election(s);
  record_role(s, before, {Cause::pre_vote_quorum});
}

void become_leader(State& s) {
  const Standing before = standing(s);
  change_role(s, Role::leader);
  set_leader(s, s.config.self);
  record_role(s, before, {Cause::vote_quorum});
  start_leading(s);
  // Committing it commits the entries of earlier terms (§5.4.2, §8).
  Propose noop;
  noop.kind = EntryKind::noop;
  append_own(s, noop);
}

void step_down(State& s, Cause cause, NodeId successor) {
  BOP_ASSERT(s.leads());
  const Standing before = standing(s);
  if (seeded(Bug::forget_vote_on_step_down)) s.hard.vote = 0;
  stop_leading(s, successor);
  change_role(s, passive_role(s));
  set_leader(s, 0);
  arm_election(s);
  record_role(s, before, {cause, successor});
}

void forget_leader(State& s, Cause cause) {
  BOP_ASSERT(!s.leads());
  const Standing before = standing(s);
  set_leader(s, 0);
  arm_election_soon(s);
  record_change(s, before, {cause});
}

}  // namespace bop::raft

#include "raft/election.h"

#include <utility>

#include "raft/become.h"
#include "raft/members.h"
#include "raft/persist.h"
#include "raft/quorum.h"
#include "raft/seeded_bugs.h"

namespace bop::raft {

namespace {

bool may_campaign(const State& s) { return may_stand(s) && s.healthy && s.now >= s.campaign_after; }

void request_votes(State& s, MessageKind kind, Term term) {
  for (const Progress& peer : s.peers) {
    if (!peer.voter()) continue;
    Message& request = send(s, peer.id, kind);
    request.term = term;
    request.log_term = s.log.last_term();
    request.index = s.last();
  }
}

void move_on_with_quorum(State& s) {
  if (!quorum_is(s, s.granted_by_self, [](const Progress& peer) { return peer.granted; })) return;
  if (s.role == Role::pre_candidate)
    become_candidate(s);
  else
    become_leader(s);
}

// Once after it lost its leader, a hindered replica leaves an election timeout to the others: if it won, it
// would have to hand over at once. If nobody won by then, a leader that serves reads is better than none.
bool defers(State& s) {
  if (s.hindrance == Cause::none || s.peers.empty()) return false;
  return !std::exchange(s.deferred, true);
}

}  // namespace

void arm_election(State& s) {
  const auto timeout = static_cast<uint64_t>(s.config.election_timeout);
  s.election_at =
      s.now + s.config.election_timeout + static_cast<Duration>(s.random.below(timeout));
}

void arm_election_soon(State& s) {
  const auto span = static_cast<uint64_t>(s.config.election_timeout) / 4 + 1;
  s.election_at = s.now + static_cast<Duration>(s.random.below(span));
}

void election_timed_out(State& s) {
  if (may_campaign(s) && defers(s)) {
    become_follower(s, s.hard.term, 0, {Cause::election_timeout});
    s.election_at = s.now + s.config.election_timeout;
    return;
  }
  if (may_campaign(s)) return campaign(s, {Cause::election_timeout});
  // This replica may not campaign, but it knows now that it has no leader.
  become_follower(s, s.hard.term, 0, {Cause::election_timeout});
  const bool later = may_stand(s) && s.healthy;
  s.election_at = later ? s.campaign_after : never;
}

void campaign(State& s, Reason why) {
  if (!may_campaign(s)) return;
  become_pre_candidate(s, why);
  request_votes(s, MessageKind::pre_vote_request, s.hard.term + 1);
  move_on_with_quorum(s);
}

void count_grant(State& s, Progress& peer) {
  BOP_ASSERT(s.role == Role::pre_candidate || s.role == Role::candidate);
  if (!peer.voter()) return;
  Record& answer = record(s, RecordKind::vote_received, Cause::none, peer.id);
  answer.pre_vote = s.role == Role::pre_candidate;
  if (seeded(Bug::count_votes_twice) && peer.granted) {
    const auto other = std::ranges::find(s.peers, false, &Progress::granted);
    if (other != s.peers.end()) other->granted = true;
  }
  answer.granted = peer.granted = true;
  move_on_with_quorum(s);
}

void count_refusal(State& s, const Progress& peer) {
  if (!peer.voter()) return;
  record(s, RecordKind::vote_received, Cause::none, peer.id).pre_vote =
      s.role == Role::pre_candidate;
}

void ask_for_votes(State& s) {
  if (s.role != Role::candidate || s.granted_by_self || !hard_is_durable(s)) return;
  s.granted_by_self = true;
  request_votes(s, MessageKind::vote_request, s.hard.term);
  move_on_with_quorum(s);
}

void send_pending_vote_reply(State& s) {
  if (s.pending_vote_reply == 0) return;
  if (!hard_is_durable(s) && !seeded(Bug::vote_before_durable)) return;
  send(s, s.pending_vote_reply, MessageKind::vote_reply).ok = true;
  s.pending_vote_reply = 0;
}

// Paper §6, dissertation §4.2.1: whether it votes is for the candidate's configuration to say. This replica's own may lack
// the entry that makes it a voter.
Cause refusal_of_vote(const State& s, const Message& request) {
  const bool pre_vote = request.kind == MessageKind::pre_vote_request;
  const bool free =
      s.hard.vote == 0 || s.hard.vote == request.from || (seeded(Bug::vote_twice) && !s.leads());
  if (seeded(Bug::learner_refuses_vote) && !s.votes.any()) return Cause::leader_alive;
  if (pre_vote ? request.term <= s.hard.term : request.term < s.hard.term) return Cause::stale_term;
  if (!pre_vote && request.term == s.hard.term && !free) return Cause::already_voted;
  if (believes_in_leader(s)) return Cause::leader_alive;
  if (!is_up_to_date(s, {request.log_term, request.index})) return Cause::log_behind;
  return Cause::none;
}

void record_vote(State& s, const Message& request, Cause refusal) {
  Record& vote = record(s, RecordKind::vote, refusal, request.from);
  vote.pre_vote = request.kind == MessageKind::pre_vote_request;
  vote.granted = refusal == Cause::none;
  vote.entry = {request.term, request.index};
}

bool believes_in_leader(const State& s) {
  if (s.leads()) return true;
  if (s.leader == 0) return false;
  return s.quiesced || s.now - s.heard_at < s.config.election_timeout;
}

bool is_up_to_date(const State& s, EntryId candidate_last) {
  if (seeded(Bug::vote_for_any_log)) return true;
  if (candidate_last.term != s.log.last_term()) return candidate_last.term > s.log.last_term();
  return candidate_last.index >= s.last();
}

}  // namespace bop::raft

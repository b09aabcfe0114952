#include "raft/reads.h"

#include "raft/quiesce.h"
#include "raft/quorum.h"
#include "raft/seeded_bugs.h"

namespace bop::raft {

namespace {

void refuse(State& s, uint64_t token, bop_status error) {
  s.update->refused.push_back({token, error, true});
}

// The node may be no member any more.
void forget_request(State& s, NodeId from) {
  if (Progress* peer = s.find_peer(from)) peer->read_request = 0;
}

void answer(State& s, const PendingReads::Waiting& waiting, Index index) {
  if (waiting.from == s.config.self) {
    s.update->reads.push_back({waiting.token, index});
    return;
  }
  forget_request(s, waiting.from);
  Message& reply = send(s, waiting.from, MessageKind::read_reply);
  reply.round = waiting.token;
  reply.index = index;
  reply.ok = true;
}

void deny(State& s, const PendingReads::Waiting& waiting) {
  if (waiting.from == s.config.self) return refuse(s, waiting.token, BOP_E_UNAVAILABLE);
  forget_request(s, waiting.from);
  send(s, waiting.from, MessageKind::read_reply).round = waiting.token;
}

void answer_underway(State& s) {
  for (const PendingReads::Waiting& waiting : s.reads.underway) answer(s, waiting, s.reads.index);
  s.reads.underway.clear();
}

// The request or its reply may be lost. A repetition keeps the number, so that the reply to any of them
// counts: to the first one, where a round trip takes longer than the interval.
void ask(State& s) {
  send(s, s.leader, MessageKind::read_request).round = s.reads.request;
  s.reads.ask_again_at = s.now + s.reads.ask_again_after;
  s.reads.ask_again_after = std::min(2 * s.reads.ask_again_after, s.config.election_timeout);
}

}  // namespace

bool knows_commit(const State& s) { return s.log.term_at(s.commit) == s.hard.term; }

size_t reads_waiting(const State& s) {
  const PendingReads& r = s.reads;
  return r.gathering.size() + r.underway.size() + r.to_ask.size() + r.asked.size();
}

void read(State& s, uint64_t token) {
  if (s.leader == 0) return refuse(s, token, BOP_E_UNAVAILABLE);
  if (reads_waiting(s) >= s.config.max_pending_reads) return refuse(s, token, BOP_E_OVERLOADED);
  if (s.leads()) {
    s.reads.gathering.push_back({s.config.self, token});
    s.wake_cause = Cause::read;
    return;
  }
  s.reads.to_ask.push_back(token);
  wake_follower(s, Cause::read);
}

bool advance_reads(State& s) {
  BOP_ASSERT(s.leads());
  PendingReads& r = s.reads;
  if (!r.underway.empty() && quorum_answered(s, r.round)) answer_underway(s);
  const bool may_answer = knows_commit(s) || seeded(Bug::read_before_noop);
  if (!r.underway.empty() || r.gathering.empty() || !may_answer) return false;
  r.underway.swap(r.gathering);
  // All of them arrived before now, so what was committed on their arrival is committed now.
  r.index = s.commit;
  const bool leased = seeded(Bug::read_by_lease) && quorum_heard(s);
  const bool alone = quorum_is(s, true, [](const Progress&) { return false; });
  if (alone || seeded(Bug::read_without_quorum) || leased) {
    answer_underway(s);
    return false;
  }
  if (!seeded(Bug::read_of_current_round)) ++s.round;
  r.round = s.round;
  return true;
}

void ask_leader(State& s) {
  PendingReads& r = s.reads;
  if (s.leads() || s.leader == 0) return;
  if (r.asked.empty() && !r.to_ask.empty()) {
    r.asked.swap(r.to_ask);
    ++r.request;
    r.ask_again_after = s.config.heartbeat_interval;
    ask(s);
  } else if (!r.asked.empty() && s.now >= r.ask_again_at) {
    ask(s);
  }
}

void refuse_reads(State& s) {
  PendingReads& r = s.reads;
  for (const PendingReads::Waiting& waiting : r.underway) deny(s, waiting);
  for (const PendingReads::Waiting& waiting : r.gathering) deny(s, waiting);
  for (uint64_t token : r.asked) refuse(s, token, BOP_E_UNAVAILABLE);
  for (uint64_t token : r.to_ask) refuse(s, token, BOP_E_UNAVAILABLE);
  r.underway.clear();
  r.gathering.clear();
  r.asked.clear();
  r.to_ask.clear();
  r.ask_again_at = never;
}

}  // namespace bop::raft

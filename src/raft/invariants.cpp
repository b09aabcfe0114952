#include "raft/invariants.h"

#include "raft/configuration.h"
#include "raft/members.h"
#include "raft/quiesce.h"
#include "raft/reads.h"

namespace bop::raft {

namespace {

void check_monotonic(State& s) {
  BOP_ASSERT_GE(s.hard.term, s.checked_term);
  BOP_ASSERT_GE(s.commit, s.checked_commit);
  s.checked_term = s.hard.term;
  s.checked_commit = s.commit;
}

void check_indexes(const State& s) {
  BOP_ASSERT_GE(s.commit, s.before_first());
  BOP_ASSERT_LE(s.commit, s.last());
  BOP_ASSERT_LE(s.match, s.last());
  BOP_ASSERT_LE(s.applied, s.commit);
  BOP_ASSERT_LE(s.compact, s.commit);
  BOP_ASSERT_LE(s.log.applied_prefix(), s.commit);
  BOP_ASSERT_LE(s.log.first_cached(), s.last() + 1);
  BOP_ASSERT_GE(s.log.first_cached(), s.log.terms().before_first().index + 1);
  BOP_ASSERT_LE(s.log.last_term(), s.hard.term);
  BOP_ASSERT_LE(s.leader_term, s.hard.term);
}

// At most one configuration is not committed, except for the one that cancels a joint one.
void check_configurations(const State& s) {
  BOP_ASSERT_LE(s.configurations.index(), s.last());
  std::vector<NodeId> members;
  for (const Progress& peer : s.peers) {
    BOP_ASSERT(members.empty() || members.back() < peer.id);
    const Votes votes = votes_of(s.configuration(), peer.id);
    BOP_ASSERT_EQ(peer.votes.entered, votes.entered);
    BOP_ASSERT_EQ(peer.votes.left, votes.left);
    members.push_back(peer.id);
  }
  std::vector<NodeId> expected = members_of(s.configuration());
  std::erase(expected, s.config.self);
  BOP_ASSERT(members == expected);
}

void check_persists(const State& s) {
  const Persists& p = s.persists;
  BOP_ASSERT_LE(p.durable, p.written_index);
  BOP_ASSERT_EQ(p.written_index, s.last());  // a step emits everything
  BOP_ASSERT(p.written == s.hard);
  BOP_ASSERT_LE(p.durable_hard.term, s.hard.term);
  BOP_ASSERT_EQ(p.restart.index, 0u);  // as above
  // What is not durable is in memory; what the snapshot before the log's first entry covers has no entry.
  BOP_ASSERT_LE(s.log.first_cached(), std::max(p.durable, s.before_first()) + 1);
  uint64_t number = p.number + 1;
  for (size_t i = p.outstanding.size(); i-- > 0;) {
    BOP_ASSERT_LT(p.outstanding[i].number, number);
    BOP_ASSERT_LE(p.outstanding[i].index, s.last());
    number = p.outstanding[i].number;
  }
  if (p.outstanding.empty()) {
    BOP_ASSERT(p.durable_hard == s.hard);
    BOP_ASSERT_EQ(p.durable, s.last());
  }
}

// A leader never sends entries that it does not have, nor after one whose term it does not know.
void check_stage(const State& s, const Progress& peer) {
  switch (peer.stage) {
    case Progress::Stage::probing:
      BOP_ASSERT_GE(peer.probe, s.before_first());
      BOP_ASSERT_LT(peer.probe, peer.next);
      break;
    case Progress::Stage::replicating: BOP_ASSERT_GT(peer.next, s.before_first()); break;
    case Progress::Stage::snapshot:
      BOP_ASSERT_LT(peer.match, s.before_first());
      BOP_ASSERT(peer.inflight.empty());
      break;
  }
}

void check_leader(const State& s) {
  BOP_ASSERT_EQ(s.leader, s.config.self);
  BOP_ASSERT_EQ(s.hard.vote, s.config.self);
  BOP_ASSERT_EQ(s.log.last_term(), s.hard.term);
  BOP_ASSERT_EQ(s.election_at, never);
  BOP_ASSERT(s.reads.asked.empty() && s.reads.to_ask.empty());
  BOP_ASSERT(!s.quiesced);
  if (s.handover_ends != never) BOP_ASSERT(s.hindrance != Cause::none || s.transfer_to != 0);
  if (s.all_quiesced)
    BOP_ASSERT(can_quiesce(s) && s.reads.underway.empty() && s.reads.gathering.empty());
  for (const Progress& peer : s.peers) {
    BOP_ASSERT_LE(peer.match, s.last());
    BOP_ASSERT_LT(peer.match, peer.next);
    BOP_ASSERT_LE(peer.match, peer.received);
    BOP_ASSERT_LE(peer.received, s.last());
    BOP_ASSERT_LE(peer.progress_at, s.now);
    BOP_ASSERT_LE(peer.next, s.last() + 1);
    BOP_ASSERT_LE(peer.round, s.round);
    BOP_ASSERT_LE(peer.inflight.size(), s.config.max_inflight_appends + 1);
    check_stage(s, peer);
    if (peer.inflight.empty()) BOP_ASSERT_EQ(peer.inflight_bytes, 0u);
  }
}

bool is_alive(const State& s, NodeId node) {
  return std::ranges::any_of(s.peers,
                             [node](const Progress& p) { return p.id == node && p.alive; });
}

void check_others(const State& s) {
  BOP_ASSERT_NE(s.leader, s.config.self);
  BOP_ASSERT(s.reads.gathering.empty() && s.reads.underway.empty());
  BOP_ASSERT(!s.all_quiesced);
  BOP_ASSERT_EQ(s.handover_ends, never);
  BOP_ASSERT_EQ(s.transfer_to, 0u);
  BOP_ASSERT_EQ(s.quiesce_round, 0u);
  if (s.leader == 0) BOP_ASSERT(s.reads.asked.empty() && s.reads.to_ask.empty());
  if (s.quiesced) {
    BOP_ASSERT_NE(s.leader, 0u);
    BOP_ASSERT_EQ(s.commit, s.last());
    BOP_ASSERT_EQ(s.election_at, never);
    BOP_ASSERT(is_alive(s, s.leader));
  }
}

void check_role(const State& s) {
  BOP_ASSERT(s.leads() || (s.role == Role::learner) == !may_stand(s));
  if (s.leads()) return check_leader(s);
  check_others(s);
  if (s.role == Role::candidate) BOP_ASSERT_EQ(s.hard.vote, s.config.self);
  if (s.role == Role::candidate || s.role == Role::pre_candidate) BOP_ASSERT_EQ(s.leader, 0u);
}

}  // namespace

void check_invariants(State& s) {
  check_monotonic(s);
  check_indexes(s);
  check_persists(s);
  check_configurations(s);
  check_role(s);
  BOP_ASSERT_LE(reads_waiting(s), s.config.max_pending_reads);
}

void check_log(const State& s) {
  size_t cached = 0;
  size_t open = 0;
  for (Index i = s.log.first_cached(); i <= s.last(); ++i) {
    const Entry* entry = s.log.find(i);
    BOP_ASSERT(entry != nullptr);
    BOP_ASSERT_EQ(entry->index, i);
    BOP_ASSERT_EQ(entry->term, s.log.term_at(i));
    (i <= s.log.applied_prefix() ? cached : open) += entry->cost();
  }
  BOP_ASSERT_EQ(cached, s.log.cached_bytes());
  BOP_ASSERT_EQ(open, s.log.open_bytes());
}

}  // namespace bop::raft

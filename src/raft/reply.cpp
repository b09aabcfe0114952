#include "raft/persist.h"
#include "raft/receive.h"
#include "raft/seeded_bugs.h"

namespace bop::raft {

namespace {

// Whether this replica takes entries, and could take over.
void tell_state(const State& s, Message& reply) {
  reply.log_capacity = s.log_capacity;
  reply.hindered = s.hindrance != Cause::none || !s.healthy;
}

void accept(State& s) {
  Message& reply = send(s, s.leader, MessageKind::append_reply);
  reply.ok = true;
  reply.index = s.match;
  reply.match = std::min(s.match, s.persists.durable);
  if (seeded(Bug::ack_before_durable)) reply.match = s.match;
  if (seeded(Bug::ack_before_match)) reply.match = s.persists.durable;
  reply.commit = s.commit;
  reply.round = s.reply.round;
  reply.quiesce = s.quiesced;
  tell_state(s, reply);
  s.reply.acknowledged = std::max(s.reply.acknowledged, reply.match);
}

// The hint describes the log as it is now: appends that arrived out of order may have filled the gap.
void refuse(State& s) {
  Message& reply = send(s, s.leader, MessageKind::append_reply);
  tell_state(s, reply);
  reply.commit = s.commit;
  reply.round = s.reply.round;
  const Index missing = s.reply.missing.index;
  if (missing > s.last()) {
    reply.index = s.last() + 1;
  } else if (s.log.term_at(missing) == s.reply.missing.term) {
    reply.index = missing + 1;
  } else {
    reply.log_term = s.log.term_at(missing);
    reply.index = std::max(s.log.terms().first_of_term_at(missing), s.commit + 1);
  }
}

}  // namespace

void reply_to_leader(State& s) {
  Reply& r = s.reply;
  if (!r.accepted && !r.refused) return;
  if (s.leads() || s.leader == 0) return;
  if (!term_is_durable(s) && !seeded(Bug::term_not_durable)) return;
  if (r.accepted) accept(s);
  if (r.refused) refuse(s);
  r.answered_round = r.round;
  r.accepted = r.refused = false;
}

}  // namespace bop::raft

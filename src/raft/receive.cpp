#include "raft/receive.h"

#include "raft/become.h"
#include "raft/configuration.h"
#include "raft/election.h"
#include "raft/seeded_bugs.h"

namespace bop::raft {

namespace {

// No cluster ever reaches it, and term + 1 must not overflow.
constexpr uint64_t highest_number = uint64_t{1} << 62;

bool numbers_are_plausible(const Message& m) {
  return m.term > 0 && m.term < highest_number && m.log_term < highest_number &&
         m.index < highest_number && m.commit < highest_number && m.match < highest_number &&
         m.compact < highest_number && m.round < highest_number;
}

// Index and term are both 0 (before the first entry), or neither is.
bool names_an_entry(const Message& m) { return (m.index == 0) == (m.log_term == 0); }

bool entry_is_plausible(const Entry& entry) {
  switch (entry.kind) {
    case EntryKind::noop:
    case EntryKind::command: return true;
    case EntryKind::configuration: return decode_configuration(entry.payload.bytes()).has_value();
  }
  return false;
}

bool entries_are_plausible(const Message& m) {
  EntryId before{m.log_term, m.index};
  for (const Entry& entry : m.entries) {
    if (entry.index != before.index + 1 || entry.term < before.term || entry.term > m.term)
      return false;
    if (entry.term == 0 || !entry_is_plausible(entry)) return false;
    before = {entry.term, entry.index};
  }
  return true;
}

bool is_plausible(const Message& m) {
  if (!numbers_are_plausible(m)) return false;
  switch (m.kind) {
    case MessageKind::pre_vote_request:
    case MessageKind::vote_request: return names_an_entry(m) && m.log_term < m.term;
    case MessageKind::append_request:
      return names_an_entry(m) && m.log_term <= m.term && m.compact <= m.commit &&
             entries_are_plausible(m);
    case MessageKind::snapshot_offer: return m.index > 0 && m.log_term > 0 && m.log_term <= m.term;
    case MessageKind::pre_vote_reply:
    case MessageKind::vote_reply:
    case MessageKind::append_reply:
    case MessageKind::read_request:
    case MessageKind::read_reply:
    case MessageKind::step_down_notice: return true;
  }
  return false;
}

// A pre-vote request, and its grant, name a term that nobody may ever enter.
bool is_of_a_real_term(const Message& m) {
  if (m.kind == MessageKind::pre_vote_request) return false;
  return m.kind != MessageKind::pre_vote_reply || !m.ok;
}

// Paper §5.1: "If a server receives a request with a stale term number, it rejects the request."
// The reply carries the current term, from which a stale leader or candidate learns of it.
void refuse_stale(State& s, const Message& m) {
  switch (m.kind) {
    case MessageKind::vote_request:
      record_vote(s, m, Cause::stale_term);
      send(s, m.from, MessageKind::vote_reply);
      break;
    case MessageKind::append_request:
    case MessageKind::snapshot_offer:
      record_rejection(s, m, Cause::stale_term);
      send(s, m.from, MessageKind::append_reply);
      break;
    case MessageKind::read_request: send(s, m.from, MessageKind::read_reply).round = m.round; break;
    default: break;
  }
}

// Whoever is a candidate or leader by its own configuration is heard: this replica's may lack the entry that makes it
// one, and log and term decide (paper §6). A leader that was removed leads until that is committed.
bool is_heard(const State& s, const Message& m) {
  switch (m.kind) {
    case MessageKind::pre_vote_request:
    case MessageKind::vote_request:
    case MessageKind::append_request:
    case MessageKind::snapshot_offer: return true;
    case MessageKind::read_reply:
    case MessageKind::step_down_notice: return m.from == s.leader;
    default: return false;
  }
}

// `from` is nullptr for who is no peer.
void dispatch(State& s, Progress* from, const Message& m) {
  switch (m.kind) {
    case MessageKind::pre_vote_request: return receive_pre_vote_request(s, m);
    case MessageKind::pre_vote_reply: return receive_pre_vote_reply(s, *from, m);
    case MessageKind::vote_request: return receive_vote_request(s, m);
    case MessageKind::vote_reply: return receive_vote_reply(s, *from, m);
    case MessageKind::append_request: return receive_append_request(s, m);
    case MessageKind::append_reply: return receive_append_reply(s, *from, m);
    case MessageKind::read_request: return receive_read_request(s, *from, m);
    case MessageKind::read_reply: return receive_read_reply(s, m);
    case MessageKind::step_down_notice: return receive_step_down_notice(s, m);
    case MessageKind::snapshot_offer: return receive_snapshot_offer(s, m);
  }
}

}  // namespace

void receive(State& s, const Message& m) {
  Progress* const from = s.find_peer(m.from);
  if (from == nullptr && !is_heard(s, m)) return;
  if (m.from == 0 || m.from == s.config.self || m.to != s.config.self || !is_plausible(m)) return;
  if (is_of_a_real_term(m)) {
    const bool accepts = seeded(Bug::accept_stale_append) && m.kind == MessageKind::append_request;
    if (m.term < s.hard.term && !accepts) return refuse_stale(s, m);
    if (m.term > s.hard.term) {
      // Dissertation §4.2.3: a server that hears from its leader ignores a disruptive candidate's term.
      if (m.kind == MessageKind::vote_request && believes_in_leader(s))
        return record_vote(s, m, Cause::leader_alive);
      become_follower(s, m.term, 0, {Cause::higher_term, m.from});
    }
  }
  dispatch(s, from, m);
}

}  // namespace bop::raft

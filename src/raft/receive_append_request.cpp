#include <optional>

#include "raft/become.h"
#include "raft/election.h"
#include "raft/members.h"
#include "raft/persist.h"
#include "raft/receive.h"
#include "raft/seeded_bugs.h"

namespace bop::raft {

namespace {

enum class Fit {
  agrees,                   // the log has the entry before the append's first one
  lacks,                    // the log lacks that entry, or has another one at its index
  conflicts_with_committed  // that entry contradicts one that cannot change any more
};

// Up to here entries cannot change: committed ones, and those that match this term's leader (paper, figure
// 3: Leader Append-Only).
Index immutable_index(const State& s) {
  if (seeded(Bug::overwrite_committed)) return 0;
  return std::max(s.commit, s.match);
}

Fit fit(const State& s, EntryId before) {
  // Compacted entries are committed, so they agree.
  if (before.index < s.log.terms().before_first().index) return Fit::agrees;
  if (before.index > s.last()) return Fit::lacks;
  if (s.log.term_at(before.index) == before.term || seeded(Bug::keep_conflicting))
    return Fit::agrees;
  return before.index <= immutable_index(s) ? Fit::conflicts_with_committed : Fit::lacks;
}

// How many of the entries this log already holds; nullopt when one contradicts an immutable entry.
std::optional<size_t> count_known(const State& s, std::span<const Entry> entries) {
  const Index compacted = s.log.terms().before_first().index;
  size_t known = 0;
  for (const Entry& entry : entries) {
    if (entry.index > s.last()) break;
    if (entry.index > compacted && s.log.term_at(entry.index) != entry.term) {
      if (entry.index <= immutable_index(s)) return std::nullopt;
      break;
    }
    ++known;
  }
  return known;
}

// Backpressure of a machine that cannot keep up: the leader sends entries that were not taken again. Only of
// the machine: while all that is committed is applied, the entries in the way are uncommitted, and refusing
// more could keep this replica from the leader's no-op, without which none of them is ever committed.
bool accepts_entries(const State& s) {
  return s.commit == s.applied || s.log.open_bytes() < 2 * s.config.max_uncommitted_bytes;
}

// Paper, figure 2: "If an existing entry conflicts with a new one (same index but different terms),
// delete the existing entry and all that follow it [...] Append any new entries not already in the
// log". Returns the number of entries taken.
size_t take(State& s, std::span<const Entry> entries) {
  size_t taken = 0;
  for (const Entry& entry : entries) {
    if (!accepts_entries(s)) break;
    if (entry.index <= s.last()) truncate_log(s, entry.index);
    append_entry(s, entry);
    ++taken;
  }
  return taken;
}

// Paper, figure 2: "set commitIndex = min(leaderCommit, index of last new entry)". All up to
// `match` is verified to agree with this leader's log.
void learn_commit(State& s, const Message& m) {
  const Index known = seeded(Bug::commit_beyond_match) ? s.last() : s.match;
  s.commit = std::max(s.commit, std::min(m.commit, known));
  s.compact = std::max(s.compact, std::min(m.compact, s.commit));
}

void quiesce_if_told(State& s, const Message& m) {
  const Index last = s.last();
  // NodeLost would not be delivered for this leader: its node is lost already, or was never heard.
  const Progress* const from = s.find_peer(m.from);
  if (from == nullptr || (!from->alive && !seeded(Bug::quiesce_for_the_lost))) return;
  if (!m.quiesce || m.commit != last || s.commit != last || s.persists.durable != last) return;
  s.quiesced = true;
  s.election_at = never;
}

}  // namespace

void follow(State& s, const Message& m) {
  const bool following = s.role == Role::follower || s.role == Role::learner;
  if (!following || s.leader != m.from)
    become_follower(s, s.hard.term, m.from, {Cause::append_received, m.from});
  s.heard_at = s.now;
  s.quiesced = s.deferred = false;
  arm_election(s);
  s.reply.round = std::max(s.reply.round, m.round);
}

void learn_match(State& s, Index index) {
  s.match = std::max(s.match, index);
  if (s.match == s.last()) s.leader_term = s.hard.term;
}

void record_rejection(State& s, const Message& append, Cause cause) {
  record(s, RecordKind::append_rejected, cause, append.from).entry = {append.log_term,
                                                                      append.index};
}

void receive_append_request(State& s, const Message& m) {
  // A second leader in one term: a bug or a forged message.
  if (s.leads() || (s.leader != 0 && s.leader != m.from))
    return record_rejection(s, m, Cause::second_leader);
  follow(s, m);
  const Fit before = fit(s, {m.log_term, m.index});
  if (before == Fit::conflicts_with_committed)
    return record_rejection(s, m, Cause::conflicts_with_committed);
  if (before == Fit::lacks) {
    record_rejection(s, m, m.index > s.last() ? Cause::missing_entry : Cause::conflicting_entry);
    s.reply.refused = true;
    s.reply.missing = {m.log_term, m.index};
    return;
  }
  const std::optional<size_t> known = count_known(s, m.entries);
  if (!known) return record_rejection(s, m, Cause::conflicts_with_committed);
  const size_t taken = take(s, m.entries.subspan(*known));
  if (*known + taken < m.entries.size()) record_rejection(s, m, Cause::machine_behind);
  learn_match(s, m.index + *known + taken);
  learn_commit(s, m);
  quiesce_if_told(s, m);
  // New entries are acknowledged once they are durable; a round does not wait for the disk.
  if (taken == 0 || m.round > s.reply.answered_round) s.reply.accepted = true;
}

}  // namespace bop::raft

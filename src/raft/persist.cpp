#include "raft/persist.h"

#include <utility>

#include "raft/members.h"
#include "raft/seeded_bugs.h"

namespace bop::raft {

void truncate_log(State& s, Index from) {
  if (!seeded(Bug::overwrite_committed)) {
    BOP_ASSERT_GT(from, s.commit);  // Leader Completeness (paper, figure 3)
    BOP_ASSERT_GT(from, s.match);   // Leader Append-Only
  }
  s.log.truncate(from);
  drop_configurations(s, from);
  Persists& p = s.persists;
  p.written_index = std::min(p.written_index, from - 1);
  if (!seeded(Bug::no_durable_clamp)) p.durable = std::min(p.durable, from - 1);
  if (seeded(Bug::no_truncate_clamp)) return;
  // Writes in progress hold the removed entries: their completion proves nothing about the entries that
  // replace those.
  for (size_t i = 0; i < p.outstanding.size(); ++i)
    p.outstanding[i].index = std::min(p.outstanding[i].index, from - 1);
}

void emit_persist(State& s) {
  Persists& p = s.persists;
  if (p.written == s.hard && p.written_index == s.last() && p.restart.index == 0) return;
  for (Index next = p.written_index + 1; next <= s.last();) {
    const std::span<const Entry> piece = s.log.span(next, s.last());
    BOP_ASSERT(!piece.empty());
    s.update->entries.push_back(piece);
    next += piece.size();
  }
  s.update->restart = std::exchange(p.restart, {});
  s.update->mark = {++p.number, s.hard, s.leader_term, s.last()};
  p.outstanding.push(s.update->mark);
  p.written = s.hard;
  p.written_index = s.last();
}

void persisted(State& s, const PersistMark& mark) {
  Persists& p = s.persists;
  BOP_ASSERT(!p.outstanding.empty());
  BOP_ASSERT_LE(p.outstanding.front().number, mark.number);
  BOP_ASSERT_LE(mark.number, p.number);
  while (!p.outstanding.empty() && p.outstanding.front().number <= mark.number) {
    p.durable_hard = p.outstanding.front().hard;
    p.durable = std::max(p.durable, p.outstanding.front().index);
    p.outstanding.pop();
  }
  if (std::min(s.match, p.durable) > s.reply.acknowledged) s.reply.accepted = true;
}

bool hard_is_durable(const State& s) {
  if (seeded(Bug::vote_by_term_only)) return term_is_durable(s);
  return s.persists.durable_hard == s.hard;
}

bool term_is_durable(const State& s) { return s.persists.durable_hard.term == s.hard.term; }

}  // namespace bop::raft

#include "raft/install.h"

#include "raft/members.h"
#include "raft/seeded_bugs.h"

namespace bop::raft {

namespace {

// Of the log that is discarded, what is durable, or is in a write in progress, may be acknowledged only as far as it was
// committed: the rest need not be the leader's. The snapshot is acknowledged once the restart is durable.
void forget_durable(State& s, Index committed, Index installed) {
  Persists& p = s.persists;
  if (seeded(Bug::acknowledge_install_early)) {
    p.durable = installed;
    return;
  }
  p.durable = std::min(p.durable, committed);
  for (size_t i = 0; i < p.outstanding.size(); ++i)
    p.outstanding[i].index = std::min(p.outstanding[i].index, committed);
}

// Paper, figure 13: "Discard the entire log".
void restart_log(State& s, const Installed& event) {
  const EntryId at = event.at;
  forget_durable(s, s.commit, at.index);
  if (seeded(Bug::keep_tail_on_install) && s.last() > at.index) {
    s.log.set_applied_prefix(at.index);
    s.log.compact(at.index);
  } else {
    s.log.restart(at, event.time_ns);
  }
  s.persists.restart = at;
  s.persists.written_index = at.index;
  s.commit = s.applied = s.match = at.index;
  s.leader_term = std::max(s.leader_term, event.term);
  restart_configurations(s, event.configuration);
  s.reply.refused = false;  // the entry that was missing is of the log that is discarded
  s.recorded_commit = at.index;
  s.recorded_commit_term = at.term;
  record(s, RecordKind::installed).entry = at;
}

}  // namespace

void installed(State& s, const Installed& event) {
  BOP_ASSERT_LE(event.term, s.hard.term);
  const EntryId at = event.at;
  const bool holds = s.log.term_at(at.index) == at.term;
  const bool past = at.index <= s.commit && !seeded(Bug::install_moves_back);
  // Only a peer that is wrong about what is committed offers a leader what it lacks (paper, figure 3: Leader Completeness).
  if (past || holds || s.leads()) {
    record(s, RecordKind::install_ignored).entry = at;
    if (holds) s.commit = std::max(s.commit, at.index);
    return;
  }
  restart_log(s, event);
}

}  // namespace bop::raft

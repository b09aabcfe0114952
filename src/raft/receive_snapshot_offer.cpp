#include "raft/receive.h"

namespace bop::raft {

namespace {

// Committed entries are in the log of every later leader (paper, figure 3: Leader Completeness).
bool holds(const State& s, EntryId entry) {
  return entry.index <= s.commit || s.log.term_at(entry.index) == entry.term;
}

}  // namespace

// Paper, figure 13: "If existing log entry has same index and term as snapshot's last included entry, retain log entries
// following it and reply". Otherwise the host fetches the snapshot and reports it as Installed.
void receive_snapshot_offer(State& s, const Message& m) {
  if (s.leads() || (s.leader != 0 && s.leader != m.from))
    return record_rejection(s, m, Cause::second_leader);
  follow(s, m);
  const SnapshotRef snapshot{{m.log_term, m.index}, m.snapshot};
  if (holds(s, snapshot.at)) {
    s.commit = std::max(s.commit, snapshot.at.index);
    learn_match(s, s.commit);
    s.reply.accepted = true;
    return;
  }
  s.update->offer = {m.from, m.term, snapshot};
  if (s.offered == snapshot) return;
  s.offered = snapshot;
  record(s, RecordKind::snapshot_offered, Cause::none, m.from).entry = snapshot.at;
}

}  // namespace bop::raft

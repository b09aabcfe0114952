#include "raft/become.h"
#include "raft/receive.h"
#include "raft/seeded_bugs.h"

namespace bop::raft {

void receive_read_reply(State& s, const Message& m) {
  PendingReads& r = s.reads;
  if (s.leads() || s.leader != m.from) return;
  const bool current = m.round == r.request || seeded(Bug::stale_read_reply);
  if (!current || r.asked.empty()) return;                       // to an earlier request
  if (!m.ok) return forget_leader(s, Cause::leadership_denied);  // refuses all reads
  // The index at which this term's leader serves reads is committed; no append has to confirm it.
  s.commit = std::max(s.commit, std::min(m.index, s.match));
  for (uint64_t token : r.asked) s.update->reads.push_back({token, m.index});
  r.asked.clear();
  r.ask_again_at = never;
}

}  // namespace bop::raft

#include "raft/receive.h"
#include "raft/replicate.h"

namespace bop::raft {

void receive_append_reply(State& s, Progress& from, const Message& m) {
  if (!s.leads()) return;
  // A peer cannot hold entries that do not exist, nor answer a round that was not started.
  if (m.match > s.last() || m.commit > s.last() || m.round > s.round) return;
  if (m.ok && m.index > s.last()) return;
  from.round = std::max(from.round, m.round);
  from.commit = std::max(from.commit, m.commit);
  from.log_capacity = m.log_capacity;
  from.hindered = m.hindered;
  from.answered_at = from.heard_at = s.now;
  if (m.ok)
    accepted(s, from, m);
  else
    refused(s, from, m);
  if (s.quiesce_round != 0 && m.round >= s.quiesce_round) from.quiesced = m.ok && m.quiesce;
}

}  // namespace bop::raft

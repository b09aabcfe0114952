#include "raft/receive.h"
#include "raft/replicate.h"

namespace bop::raft {

void receive_append_reply(State& s, Progress& from, const Message& m) {
  if (!s.leads()) return;
  // It cannot have what we did not send, nor answer what we did not ask.
  if (m.match > s.last() || m.commit > s.last() || m.round > s.round) return;
  if (m.ok && m.index > s.last()) return;
  from.round = std::max(from.round, m.round);
  from.commit = std::max(from.commit, m.commit);
  from.log_capacity = m.log_capacity;
  if (m.ok)
    accepted(s, from, m);
  else
    refused(s, from, m);
  if (s.quiesce_round != 0 && m.round >= s.quiesce_round) from.quiesced = m.ok && m.quiesce;
}

}  // namespace bop::raft

#include "raft/election.h"
#include "raft/receive.h"

namespace bop::raft {

void receive_pre_vote_reply(State& s, Progress& from, const Message& m) {
  if (s.role != Role::pre_candidate) return;
  if (!m.ok) return count_refusal(s, from);
  if (m.term != s.hard.term + 1) return;
  count_grant(s, from);
}

}  // namespace bop::raft

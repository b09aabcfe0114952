#include "raft/election.h"
#include "raft/receive.h"

namespace bop::raft {

void receive_vote_reply(State& s, Progress& from, const Message& m) {
  if (s.role != Role::candidate || !m.ok) return;
  count_grant(s, from);
}

}  // namespace bop::raft

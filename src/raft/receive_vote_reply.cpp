#include "raft/election.h"
#include "raft/receive.h"
#include "raft/seeded_bugs.h"

namespace bop::raft {

void receive_vote_reply(State& s, Progress& from, const Message& m) {
  if (s.role != Role::candidate && !seeded(Bug::vote_reply_at_any_time)) return;
  if (!m.ok) return count_refusal(s, from);
  count_grant(s, from);
}

}  // namespace bop::raft

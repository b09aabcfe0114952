#include "raft/election.h"
#include "raft/quiesce.h"
#include "raft/receive.h"

namespace bop::raft {

// "Would you vote for me in that term?" Promises nothing and changes nothing, but that a quiesced group
// wakes up: somebody misses its leader.
void receive_pre_vote_request(State& s, const Message& m) {
  const bool would = s.voter && m.term > s.hard.term && !believes_in_leader(s) &&
                     is_up_to_date(s, {m.log_term, m.index});
  Message& reply = send(s, m.from, MessageKind::pre_vote_reply);
  reply.ok = would;
  if (would) reply.term = m.term;
  if (s.leads()) wake(s);
  wake_follower(s);
}

}  // namespace bop::raft

#include "raft/election.h"
#include "raft/quiesce.h"
#include "raft/receive.h"

namespace bop::raft {

// "Would you vote for me in that term?" Promises nothing and changes nothing, but that a quiesced group
// wakes up: somebody misses its leader.
void receive_pre_vote_request(State& s, const Message& m) {
  const Cause refusal = refusal_of_vote(s, m);
  const bool would = refusal == Cause::none;
  record_vote(s, m, refusal);
  Message& reply = send(s, m.from, MessageKind::pre_vote_reply);
  reply.ok = would;
  if (would) reply.term = m.term;
  if (s.leads()) wake(s, Cause::pre_vote_asked);
  wake_follower(s, Cause::pre_vote_asked);
}

}  // namespace bop::raft

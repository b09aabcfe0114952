#include "raft/election.h"
#include "raft/quiesce.h"
#include "raft/receive.h"

namespace bop::raft {

// A pre-vote promises nothing and changes no state, except that a quiesced group wakes: a member misses
// the leader.
void receive_pre_vote_request(State& s, const Message& m) {
  const Cause refusal = refusal_of_vote(s, m);
  const bool would = refusal == Cause::none;
  record_vote(s, m, refusal);
  Message& reply = send(s, m.from, MessageKind::pre_vote_reply);
  reply.ok = would;
  if (would) reply.term = m.term;
  if (s.find_peer(m.from) == nullptr) return;  // a former member does not keep the group awake
  if (s.leads()) wake(s, Cause::pre_vote_asked);
  wake_follower(s, Cause::pre_vote_asked);
}

}  // namespace bop::raft

#include "raft/become.h"
#include "raft/election.h"
#include "raft/receive.h"

namespace bop::raft {

// Paper, figure 2: "If votedFor is null or candidateId, and candidate's log is at least as
// up-to-date as receiver's log, grant vote". The grant leaves once the vote is durable.
void receive_vote_request(State& s, const Message& m) {
  const Cause refusal = refusal_of_vote(s, m);
  record_vote(s, m, refusal);
  if (refusal != Cause::none) {
    send(s, m.from, MessageKind::vote_reply);
    return;
  }
  become_follower(s, s.hard.term, 0, {Cause::vote_granted, m.from});
  s.hard.vote = m.from;
  s.pending_vote_reply = m.from;
}

}  // namespace bop::raft

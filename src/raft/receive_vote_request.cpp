#include "raft/become.h"
#include "raft/election.h"
#include "raft/receive.h"
#include "raft/seeded_bugs.h"

namespace bop::raft {

// Paper, figure 2: "If votedFor is null or candidateId, and candidate's log is at least as
// up-to-date as receiver's log, grant vote". The grant leaves once the vote is durable.
void receive_vote_request(State& s, const Message& m) {
  const bool free =
      s.hard.vote == 0 || s.hard.vote == m.from || (seeded(Bug::vote_twice) && !s.leads());
  if (!s.voter || !free || believes_in_leader(s) || !is_up_to_date(s, {m.log_term, m.index})) {
    send(s, m.from, MessageKind::vote_reply);
    return;
  }
  become_follower(s, s.hard.term, 0);
  s.hard.vote = m.from;
  s.pending_vote_reply = m.from;
}

}  // namespace bop::raft

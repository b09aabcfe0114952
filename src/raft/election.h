// Campaigns: pre-vote (dissertation §9.6), vote (paper §5.2), and the timer that starts them.
#pragma once

#include "raft/become.h"
#include "raft/state.h"

namespace bop::raft {

// Draws a timeout from [election_timeout, 2 * election_timeout).
void arm_election(State& s);
// Soon, but not all at the same time: the leader is known to be gone.
void arm_election_soon(State& s);
void election_timed_out(State& s);
// `why`: a timeout, or who asked for it.
void campaign(State& s, Reason why);

// Counts a grant; the quorum's moves the campaign on.
void count_grant(State& s, Progress& peer);
void count_refusal(State& s, const Progress& peer);
// Once our own vote is durable: asks the others, and counts it.
void ask_for_votes(State& s);
// Once our vote for another is durable: says so.
void send_pending_vote_reply(State& s);

// Why the sender of a (pre-)vote request does not get our vote; none: it does.
Cause refusal_of_vote(const State& s, const Message& request);
void record_vote(State& s, const Message& request, Cause refusal);
// A leader is believed to live: nobody gets our vote (dissertation §4.2.3).
bool believes_in_leader(const State& s);
// Paper §5.4.1: the candidate's log is at least as new as ours.
bool is_up_to_date(const State& s, EntryId candidate_last);

}  // namespace bop::raft

// Campaigns: pre-vote (dissertation §9.6), vote (paper §5.2), and the timer that starts them.
#pragma once

#include "raft/become.h"
#include "raft/state.h"

namespace bop::raft {

// Draws a timeout from [election_timeout, 2 * election_timeout).
void arm_election(State& s);
// Draws a short timeout, because the leader is known to be lost; random, so that not all campaign at once.
void arm_election_soon(State& s);
void election_timed_out(State& s);
// Starts with pre-votes. `why`: an election timeout, or a transfer.
void campaign(State& s, Reason why);

// Counts a granted vote; the campaign advances once a quorum granted theirs.
void count_grant(State& s, Progress& peer);
void count_refusal(State& s, const Progress& peer);
// Once this replica's own vote is durable: counts it and requests the others'.
void ask_for_votes(State& s);
// Once the vote for another candidate is durable: sends it.
void send_pending_vote_reply(State& s);

// Why the sender of a (pre-)vote request is refused; none: it is granted.
Cause refusal_of_vote(const State& s, const Message& request);
void record_vote(State& s, const Message& request, Cause refusal);
// Whether a leader is believed to be alive: then all votes are refused (dissertation §4.2.3).
bool believes_in_leader(const State& s);
// Paper §5.4.1: the candidate's log is at least as up-to-date as this one.
bool is_up_to_date(const State& s, EntryId candidate_last);

}  // namespace bop::raft

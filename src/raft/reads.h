// ReadIndex (dissertation §6.4), on the leader and, through it, on followers.
#pragma once

#include "raft/state.h"

namespace bop::raft {

void read(State& s, uint64_t token);
// Leader: completes the reads of a round that a quorum confirmed, and starts the next round. True when a
// round started: it has to be sent to every peer.
bool advance_reads(State& s);
// Follower: sends the leader a request for the reads that gathered, or repeats an unanswered one.
void ask_leader(State& s);
// Refuses all waiting reads: this leader will not serve them.
void refuse_reads(State& s);

size_t reads_waiting(const State& s);
// Until an entry of its own term is committed, a leader does not know the commit index (dissertation §6.4).
bool knows_commit(const State& s);

}  // namespace bop::raft

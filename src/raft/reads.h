// ReadIndex (dissertation §6.4), on the leader and through it on followers.
#pragma once

#include "raft/state.h"

namespace bop::raft {

void read(State& s, uint64_t token);
// Leader: answers the round that a quorum confirmed, and starts the next. True: a round started,
// which every peer must hear of.
bool advance_reads(State& s);
// Follower: asks the leader what gathered, or once more what it did not answer.
void ask_leader(State& s);
// Who waits will not be served by this leader.
void refuse_reads(State& s);

size_t reads_waiting(const State& s);

}  // namespace bop::raft

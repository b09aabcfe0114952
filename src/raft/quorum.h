// What a majority of the voters has reached.
#pragma once

#include "raft/state.h"

namespace bop::raft {

// The highest value that a quorum of voters has reached; `own` is this replica's.
Index reached_by_quorum(State& s, Index own, Index Progress::* value);
// Whether a quorum answered `round` or a later one; this replica counts as having done so.
bool quorum_answered(const State& s, uint64_t round);

}  // namespace bop::raft

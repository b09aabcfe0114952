// What a majority of the voters has.
#pragma once

#include "raft/state.h"

namespace bop::raft {

// The highest value that a quorum of voters reaches; `own` is ours.
Index reached_by_quorum(State& s, Index own, Index Progress::* value);
// Whether a quorum answered `round` or a later one; we always did.
bool quorum_answered(const State& s, uint64_t round);

}  // namespace bop::raft

// New entries of a leader.
#pragma once

#include "raft/state.h"

namespace bop::raft {

void propose(State& s, const Propose& event);
// Appends to the leader's own log, with no question about room.
EntryId append_own(State& s, const Propose& event);

}  // namespace bop::raft

// Who a replica is. No other file changes role, term or leader.
#pragma once

#include "raft/state.h"

namespace bop::raft {

// Of a higher or the same term; forgets votes of a lower one. `leader` 0: unknown.
void become_follower(State& s, Term term, NodeId leader);
void become_pre_candidate(State& s);
void become_candidate(State& s);
void become_leader(State& s);

// A leader stops being it, in its own term, and says so; with `transfer` the best of the others is
// asked to campaign at once.
void step_down(State& s, bool transfer);
// The leader that a follower believed in is one no more.
void forget_leader(State& s);

}  // namespace bop::raft

// Who a replica is. No other file changes role, term or leader.
#pragma once

#include "raft/state.h"

namespace bop::raft {

// Why, for the records: the cause, and the node that it is about, or 0.
struct Reason {
  Cause cause = Cause::none;
  NodeId node = 0;
};

// Of a higher or the same term; forgets votes of a lower one. `leader` 0: unknown.
void become_follower(State& s, Term term, NodeId leader, Reason why);
void become_pre_candidate(State& s, Reason why);
void become_candidate(State& s);
void become_leader(State& s);

// A leader stops being it, in its own term, and says so; with `transfer` the best of the others is
// asked to campaign at once.
void step_down(State& s, Cause cause, bool transfer);
// The leader that a follower believed in is one no more.
void forget_leader(State& s, Cause cause);

}  // namespace bop::raft

// Role transitions. No other file changes a replica's role, term or known leader.
#pragma once

#include "raft/state.h"

namespace bop::raft {

// Why a transition happens, for the records: its cause, and the node concerned (0: none).
struct Reason {
  Cause cause = Cause::none;
  NodeId node = 0;
};

// `term` is at least the current one; entering a higher one clears the vote. `leader` 0: unknown.
void become_follower(State& s, Term term, NodeId leader, Reason why);
void become_pre_candidate(State& s, Reason why);
void become_candidate(State& s);
void become_leader(State& s);

// A leader knows nothing about the peer yet.
void start_progress(State& s, Progress& peer);
// A leader steps down within its own term and notifies its peers. The successor (0: none) is asked to
// campaign at once.
void step_down(State& s, Cause cause, NodeId successor);
// A follower's leader is known not to lead any more.
void forget_leader(State& s, Cause cause);

}  // namespace bop::raft

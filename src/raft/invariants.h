// Everything that must hold of one replica between two steps. What must hold between replicas
// (paper, figure 3) is for the checkers of tests and simulator.
#pragma once

#include "raft/state.h"

namespace bop::raft {

// In constant time, and remembers what may never go back.
void check_invariants(State& s);
// Also looks at every entry in memory.
void check_log(const State& s);

}  // namespace bop::raft

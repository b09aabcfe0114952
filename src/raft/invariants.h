// What must hold for a single replica between two steps. What must hold among replicas (paper, figure 3)
// is checked by tests and simulator.
#pragma once

#include "raft/state.h"

namespace bop::raft {

// Takes constant time, and records the values that must never decrease.
void check_invariants(State& s);
// Visits every entry in memory.
void check_log(const State& s);

}  // namespace bop::raft

// Proposals: entries that a leader appends to its own log.
#pragma once

#include "raft/state.h"

namespace bop::raft {

void propose(State& s, const Propose& event);
// Appends without checking limits.
EntryId append_own(State& s, const Propose& event);

}  // namespace bop::raft

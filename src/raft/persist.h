// What the host is asked to write, and what its completion means.
#pragma once

#include "raft/state.h"

namespace bop::raft {

void truncate_log(State& s, Index from);
// At the end of a step: all changes to be persisted become one record.
void emit_persist(State& s);
void persisted(State& s, const PersistMark& mark);

// The current term and vote are durable; the current term is.
bool hard_is_durable(const State& s);
bool term_is_durable(const State& s);

}  // namespace bop::raft

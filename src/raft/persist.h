// What is emitted to be written, and what its completion means.
#pragma once

#include "raft/state.h"

namespace bop::raft {

void truncate_log(State& s, Index from);
// Ends a step: whatever changed becomes one record.
void emit_persist(State& s);
void persisted(State& s, const PersistMark& mark);

// The term and vote as they are now are durable.
bool hard_is_durable(const State& s);
bool term_is_durable(const State& s);

}  // namespace bop::raft

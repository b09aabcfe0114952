// A leader's appends: what each peer gets in this step, and what its answers mean.
#pragma once

#include "raft/state.h"

namespace bop::raft {

void start_probing(State& s, Progress& peer, Index next);
// To every peer at most one append, unless the ring wraps in between.
void broadcast(State& s);
// Entries read from the log's files for one peer.
void loaded(State& s, const Loaded& event);
void accepted(State& s, Progress& peer, const Message& reply);
void refused(State& s, Progress& peer, const Message& reply);

// Begins a leader's step: who lacks nothing now makes progress, whatever is appended in this step.
void note_progress(State& s);
// Whether, of the entries that it lacks, a quorum received some in the last two election timeouts.
bool quorum_makes_progress(const State& s);

// Paper §5.3, §5.4.2: the highest entry of our own term that a quorum holds durably.
void advance_commit(State& s);

}  // namespace bop::raft

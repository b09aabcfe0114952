// A leader's appends: what each peer is sent in this step, and what its replies mean.
#pragma once

#include "raft/state.h"

namespace bop::raft {

void start_probing(State& s, Progress& peer, Index next);
// Sends every peer what it is due: entries, a heartbeat, or the commit index.
void broadcast(State& s);
// The log begins after a later entry now.
void compacted(State& s, Index through);
// Entries read from the log's files for one peer.
void loaded(State& s, const Loaded& event);
void accepted(State& s, Progress& peer, const Message& reply);
void refused(State& s, Progress& peer, const Message& reply);

// At the begin of a leader's step: a peer that lacks no entry now makes progress, whatever this step appends.
void note_progress(State& s);
// Bytes reached the peer, maybe of entries that it lacks.
void delivered(State& s, Progress& peer, uint64_t bytes);
// Whether a quorum lacks no entries or received some within the last two election timeouts.
bool quorum_makes_progress(const State& s);

// Paper §5.3, §5.4.2: commits up to the last entry of the current term that a quorum holds durably.
void advance_commit(State& s);

}  // namespace bop::raft

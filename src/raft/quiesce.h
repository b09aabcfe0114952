// Idle groups cost nothing: when every replica has the last entry and knows that it is committed, the
// leader tells the followers to quiesce, and quiesces itself once all did. From then on the group relies
// on liveness between nodes (NodeLost), so each side quiesces only while its liveness considers the other
// alive: an append that arrives after its sender was lost must not leave a follower without a deadline.
#pragma once

#include "raft/state.h"

namespace bop::raft {

// Every peer is alive, has all entries and knows that they are committed.
bool can_quiesce(const State& s);
// Decides whether the heartbeat that is due tells the followers to quiesce.
void start_quiescing(State& s);
// A leader sends heartbeats again, the first one at once.
void wake(State& s, Cause cause);
// A quiesced follower expects heartbeats again.
void wake_follower(State& s, Cause cause);
// At the end of a step: whether the leader is quiesced now.
void update_quiesced(State& s);
void record_quiescing(State& s);

}  // namespace bop::raft

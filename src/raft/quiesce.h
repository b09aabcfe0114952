// Groups without work cost nothing: when every voter has the last entry and knows it committed, the
// leader tells the followers to quiesce, and then sleeps itself. From then on only liveness between
// nodes (NodeLost) watches over the group, so both sides quiesce only while it considers the other alive:
// an append that was delayed past the loss of its sender must not leave a follower without a deadline.
#pragma once

#include "raft/state.h"

namespace bop::raft {

// Nothing is left to tell anybody.
bool can_quiesce(const State& s);
// With a heartbeat due: whether it tells the followers to quiesce.
void start_quiescing(State& s);
// Something happened: heartbeats again, at once.
void wake(State& s, Cause cause);
// A follower that was told to quiesce waits for heartbeats again.
void wake_follower(State& s, Cause cause);
// Ends a step: whether the leader sleeps now, or woke up.
void update_quiesced(State& s);
void record_quiescing(State& s);

}  // namespace bop::raft

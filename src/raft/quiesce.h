// Groups without work cost nothing: when every voter has the last entry and knows it committed, the
// leader tells the followers to quiesce, and then sleeps itself. From then on only messages between
// nodes (NodeLost) watch over the group.
#pragma once

#include "raft/state.h"

namespace bop::raft {

// Nothing is left to tell anybody.
bool can_quiesce(const State& s);
// With a heartbeat due: whether it tells the followers to quiesce.
void start_quiescing(State& s);
// Something happened: heartbeats again, at once.
void wake(State& s);
// Ends a step: whether the leader sleeps now, or woke up.
void update_quiesced(State& s);

}  // namespace bop::raft

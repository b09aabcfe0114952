// How a leader passes the leadership to another voter: because it was asked to (raft::Transfer), or because it cannot
// serve (raft::Hindered) while that one can.
//
//            asked to; or hindered, and a voter that            that voter holds all
//            can serve has been sent all entries                entries durably
//   leads ────────────────────────────────────────► hands over ─────────────────────► follower
//     ▲                                                  │
//     └──────────────────────────────────────────────────┘
//        no longer hindered, or its time is over
//
// While it hands over, the leader takes no proposals, so that the last entry stays the last; the successor then
// wins at once, and no entry is lost. It is the leader that steps down and names its successor: an order to campaign
// that arrives late could depose a leader that went on. A hindered leader does so at most once in
// Config::handover_interval: the notice tells the others that it did.
#pragma once

#include "raft/state.h"

namespace bop::raft {

inline bool hands_over(const State& s) { return s.handover_ends != never; }
// Ignored unless this replica leads and the target votes.
void transfer(State& s, const Transfer& event);
// In each step of a leader.
void hand_over_if_due(State& s);
// For a leader that has to step down: the voter with the most up-to-date log, which can win at once, and of equal
// ones one that can serve. 0: it has no peer that votes.
NodeId best_successor(const State& s);

}  // namespace bop::raft

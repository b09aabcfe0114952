// How a leader that cannot serve (raft::Hindered) passes the leadership to a voter that can.
//
//            hindered, and a voter that can serve           that voter holds all
//            has been sent all entries                      entries durably
//   leads ──────────────────────────────────► hands over ─────────────────────► follower
//     ▲                                            │
//     └────────────────────────────────────────────┘
//        no longer hindered, or an election timeout passed
//
// While it hands over, the leader takes no proposals, so that the last entry stays the last; the successor then
// wins at once, and no entry is lost. A group does so at most once in Config::handover_interval: the notice tells
// the others that it did.
#pragma once

#include "raft/state.h"

namespace bop::raft {

inline bool hands_over(const State& s) { return s.handover_ends != never; }
// In each step of a leader.
void hand_over_if_hindered(State& s);
// For a leader that has to step down: the voter with the most up-to-date log, which can win at once, and of equal
// ones one that can serve. 0: it has no peer that votes.
NodeId best_successor(const State& s);

}  // namespace bop::raft

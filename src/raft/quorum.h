// What a majority of the voters has reached; in a joint configuration, of the voters of each half.
#pragma once

#include "raft/state.h"

namespace bop::raft {

// The voters of each half that something is true of.
class QuorumCount {
 public:
  explicit QuorumCount(const State& s) : majority_(s.majority()) {}
  void add(Votes votes) {
    entered_ += votes.entered ? 1 : 0;
    left_ += votes.left ? 1 : 0;
  }
  bool reached() const { return entered_ >= majority_.entered && left_ >= majority_.left; }

 private:
  Majority majority_;
  size_t entered_ = 0;
  size_t left_ = 0;
};

// Whether a quorum `is`; `own`: this replica is.
template <class Is>
bool quorum_is(const State& s, bool own, Is is) {
  QuorumCount count(s);
  if (own) count.add(s.votes);
  for (const Progress& peer : s.peers)
    if (peer.voter() && is(peer)) count.add(peer.votes);
  return count.reached();
}

// The highest value that a quorum of voters has reached; `own` is this replica's.
Index reached_by_quorum(State& s, Index own, Index Progress::* value);
// Whether a quorum answered `round` or a later one; this replica counts as having done so.
bool quorum_answered(const State& s, uint64_t round);
// Whether a quorum replied within the last election timeout.
bool quorum_heard(const State& s);

}  // namespace bop::raft

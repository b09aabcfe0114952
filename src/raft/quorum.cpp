#include "raft/quorum.h"

#include <functional>
#include <limits>

#include "raft/seeded_bugs.h"

namespace bop::raft {

namespace {

Index reached_in(State& s, bool Votes::* half, size_t majority, Index own,
                 Index Progress::* value) {
  s.sorted.clear();
  if (s.votes.*half || seeded(Bug::removed_leader_counts)) s.sorted.push_back(own);
  for (const Progress& peer : s.peers)
    if (peer.votes.*half) s.sorted.push_back(peer.*value);
  std::sort(s.sorted.begin(), s.sorted.end(), std::greater<>());
  const size_t enough = majority - (seeded(Bug::commit_by_minority) && majority > 1 ? 1 : 0);
  return s.sorted[enough - 1];
}

}  // namespace

Index reached_by_quorum(State& s, Index own, Index Progress::* value) {
  const Majority majority = s.majority();
  const Index entered = reached_in(s, &Votes::entered, majority.entered, own, value);
  if (majority.left == 0 || seeded(Bug::commit_by_new_half)) return entered;
  return std::min(entered, reached_in(s, &Votes::left, majority.left, own, value));
}

bool quorum_heard(const State& s) {
  return quorum_is(s, true, [&s](const Progress& peer) {
    return s.now - peer.heard_at < s.config.election_timeout;
  });
}

bool quorum_answered(const State& s, uint64_t round) {
  return quorum_is(s, true, [round](const Progress& peer) { return peer.round >= round; });
}

}  // namespace bop::raft

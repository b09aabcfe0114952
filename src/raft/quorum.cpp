#include "raft/quorum.h"

#include <functional>

#include "raft/seeded_bugs.h"

namespace bop::raft {

Index reached_by_quorum(State& s, Index own, Index Progress::* value) {
  s.sorted.clear();
  if (s.voter) s.sorted.push_back(own);
  for (const Progress& peer : s.peers)
    if (peer.voter) s.sorted.push_back(peer.*value);
  std::sort(s.sorted.begin(), s.sorted.end(), std::greater<>());
  const size_t enough = s.quorum() - (seeded(Bug::commit_by_minority) && s.quorum() > 1 ? 1 : 0);
  return s.sorted[enough - 1];
}

bool quorum_answered(const State& s, uint64_t round) {
  size_t count = s.voter ? 1 : 0;
  for (const Progress& peer : s.peers)
    if (peer.voter && peer.round >= round) ++count;
  return count >= s.quorum();
}

}  // namespace bop::raft

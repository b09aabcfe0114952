#include "raft/majority.h"

#include <algorithm>

namespace bop::raft {

namespace {

Index committed_in(const std::vector<NodeId>& voters, const std::function<Index(NodeId)>& reached) {
  if (voters.empty()) return every_index;
  std::vector<Index> indexes;
  for (const NodeId voter : voters) indexes.push_back(reached(voter));
  std::ranges::sort(indexes, std::greater<>());
  return indexes[voters.size() / 2];
}

VoteResult votes_in(const std::vector<NodeId>& voters,
                    const std::function<Answer(NodeId)>& answer) {
  size_t yes = 0;
  size_t no = 0;
  for (const NodeId voter : voters) {
    const Answer given = answer(voter);
    if (given == Answer::yes) ++yes;
    if (given == Answer::no) ++no;
  }
  const size_t quorum = voters.size() / 2 + 1;
  if (voters.empty() || yes >= quorum) return VoteResult::won;
  return voters.size() - no < quorum ? VoteResult::lost : VoteResult::pending;
}

}  // namespace

Index committed_index(const Configuration& configuration,
                      const std::function<Index(NodeId)>& reached) {
  return std::min(committed_in(configuration.voters, reached),
                  committed_in(configuration.outgoing, reached));
}

VoteResult count_votes(const Configuration& configuration,
                       const std::function<Answer(NodeId)>& answer) {
  const VoteResult in = votes_in(configuration.voters, answer);
  const VoteResult out = votes_in(configuration.outgoing, answer);
  if (in == VoteResult::lost || out == VoteResult::lost) return VoteResult::lost;
  return in == VoteResult::won ? out : in;
}

}  // namespace bop::raft

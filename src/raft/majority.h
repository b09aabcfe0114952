// What the voters of a configuration decide by majority, in a joint one of both halves: as pure functions of what each
// voter did.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>

#include "raft/types.h"

namespace bop::raft {

// Of a configuration without voters, which every index has reached.
inline constexpr Index every_index = std::numeric_limits<Index>::max();

// The highest index that a majority has reached; `reached` is asked for each voter.
Index committed_index(const Configuration& configuration,
                      const std::function<Index(NodeId)>& reached);

enum class Answer : uint8_t { missing, yes, no };
enum class VoteResult : uint8_t { pending, won, lost };

// Lost: a majority cannot say yes any more.
VoteResult count_votes(const Configuration& configuration,
                       const std::function<Answer(NodeId)>& answer);

}  // namespace bop::raft

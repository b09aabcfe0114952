// Changes of a group's members, as pure functions from a configuration to the next one (paper §6; dissertation §4.3).
//
//   simple ── one voter added or removed ──► simple
//      │ ▲
//      │ └──────────── leave ◄────────────┐   both halves decide in between
//      └── several voters, or `joint` ──► joint
//
// With one voter added or removed, each majority of the old voters meets each of the new ones. With several it need not,
// so a joint configuration comes between.
#pragma once

#include <cstdint>
#include <span>

#include "base/result.h"
#include "raft/types.h"

namespace bop::raft {

struct Change {
  enum class Kind : uint8_t {
    add_voter,    // also of a learner
    add_learner,  // also of a voter, which stops voting
    remove,       // of a voter or learner; without effect for others
    joint,   // enters a joint configuration, whatever the number of voters that change; `node` is 0
    leave,   // a joint configuration, for the half that is entered; `node` is 0
    cancel,  // a joint configuration, for the half that is left; `node` is 0
  };
  Kind kind{};
  NodeId node = 0;
};

// The configuration after the changes, which are made in order, as one. CONFIGURATION_PENDING: `from` is joint and must be
// left first. BAD_CONFIG: the result is none that a group can have, or there is no joint configuration to leave.
Result<Configuration> changed(const Configuration& from, std::span<const Change> changes);

}  // namespace bop::raft

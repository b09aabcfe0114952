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
#include <optional>
#include <span>
#include <string_view>

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

inline bool names_a_node(Change::Kind kind) { return kind <= Change::Kind::remove; }
// By its name for people: add-voter or promote, add-learner or demote, remove, joint, leave, cancel.
std::optional<Change::Kind> change_named(std::string_view name);

// The configuration after the changes, which are made in order, as one. A joint one that follows from the voters leaves by
// itself, one that was asked for does not. CONFIGURATION_PENDING: `from` is joint and must be left first. BAD_CONFIG: the
// result is none that a group can have, or there is no joint configuration to leave.
Result<Configuration> changed(const Configuration& from, std::span<const Change> changes);

// Whether an entry may take a group from one configuration to the other, however it was made. Errors as above.
Status check_change(const Configuration& from, const Configuration& to);

}  // namespace bop::raft

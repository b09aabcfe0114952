#include "raft/change.h"

#include <algorithm>
#include <iterator>

#include "raft/configuration.h"

namespace bop::raft {

namespace {

using Ids = std::vector<NodeId>;

void insert(Ids& ids, NodeId id) {
  if (!includes(ids, id)) ids.insert(std::ranges::lower_bound(ids, id), id);
}

void erase(Ids& ids, NodeId id) {
  if (includes(ids, id)) ids.erase(std::ranges::lower_bound(ids, id));
}

size_t differing(const Ids& a, const Ids& b) {
  Ids out;
  std::ranges::set_symmetric_difference(a, b, std::back_inserter(out));
  return out.size();
}

Configuration after_leaving(Configuration joint) {
  joint.outgoing.clear();
  joint.auto_leave = false;
  return joint;
}

Configuration after_cancelling(const Configuration& joint) {
  Configuration out = after_leaving(joint);
  out.voters = joint.outgoing;
  for (const NodeId voter : out.voters) erase(out.learners, voter);
  return out;
}

Result<Configuration> left(const Configuration& from, std::span<const Change> changes) {
  using enum Change::Kind;
  const bool leaves = changes.size() == 1 && changes[0].kind == leave;
  const bool cancels = changes.size() == 1 && changes[0].kind == cancel;
  if (!leaves && !cancels)
    return fail(BOP_E_CONFIGURATION_PENDING, "a joint configuration is in force: leave it first");
  return leaves ? after_leaving(from) : after_cancelling(from);
}

Status make(const Change& change, Configuration& members, bool& enter_joint) {
  using enum Change::Kind;
  if (names_a_node(change.kind) != (change.node != 0))
    return fail(BOP_E_BAD_CONFIG, "0 is not a node id, and this change takes none");
  switch (change.kind) {
    case add_voter:
      erase(members.learners, change.node);
      insert(members.voters, change.node);
      return {};
    case add_learner:
      erase(members.voters, change.node);
      insert(members.learners, change.node);
      return {};
    case remove:
      erase(members.voters, change.node);
      erase(members.learners, change.node);
      return {};
    case joint: enter_joint = true; return {};
    case leave:
    case cancel: return fail(BOP_E_BAD_CONFIG, "no joint configuration is in force");
  }
  return fail(BOP_E_INTERNAL, "an unknown change");
}

constexpr struct {
  std::string_view name;
  Change::Kind kind;
} names[] = {
    {"add-voter", Change::Kind::add_voter},
    {"promote", Change::Kind::add_voter},
    {"add-learner", Change::Kind::add_learner},
    {"demote", Change::Kind::add_learner},
    {"remove", Change::Kind::remove},
    {"joint", Change::Kind::joint},
    {"leave", Change::Kind::leave},
    {"cancel", Change::Kind::cancel},
};

}  // namespace

std::optional<Change::Kind> change_named(std::string_view name) {
  for (const auto& known : names)
    if (known.name == name) return known.kind;
  return std::nullopt;
}

Result<Configuration> changed(const Configuration& from, std::span<const Change> changes) {
  if (from.joint()) return left(from, changes);
  Configuration out = from;
  bool enter_joint = false;
  for (const Change& change : changes) BOP_TRY(make(change, out, enter_joint));
  BOP_TRY(check_configuration(out));
  // The same voters in both halves decide nothing else than they do alone.
  if (enter_joint || differing(from.voters, out.voters) > 1) {
    out.outgoing = from.voters;
    out.auto_leave = !enter_joint;
  }
  return out;
}

Status check_change(const Configuration& from, const Configuration& to) {
  BOP_TRY(check_configuration(to));
  if (from.joint()) {
    if (to == from || to == after_leaving(from) || to == after_cancelling(from)) return {};
    return fail(BOP_E_CONFIGURATION_PENDING, "a joint configuration is in force: leave it first");
  }
  if (to.joint() ? to.outgoing == from.voters : differing(from.voters, to.voters) <= 1) return {};
  return fail(BOP_E_BAD_CONFIG, "several voters change only by a joint configuration");
}

}  // namespace bop::raft

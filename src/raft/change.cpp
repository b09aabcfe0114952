#include "raft/change.h"

#include <algorithm>
#include <iterator>

#include "raft/configuration.h"

namespace bop::raft {

namespace {

using Ids = std::vector<NodeId>;

bool includes(const Ids& ids, NodeId id) { return std::ranges::binary_search(ids, id); }

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

Result<Configuration> left(const Configuration& from, std::span<const Change> changes) {
  using enum Change::Kind;
  const bool leaves = changes.size() == 1 && changes[0].kind == leave;
  const bool cancels = changes.size() == 1 && changes[0].kind == cancel;
  if (!leaves && !cancels)
    return fail(BOP_E_CONFIGURATION_PENDING, "a joint configuration is in force: leave it first");
  Configuration out = from;
  out.outgoing.clear();
  if (leaves) return out;
  out.voters = from.outgoing;
  for (const NodeId voter : out.voters) erase(out.learners, voter);
  return out;
}

Status make(const Change& change, Configuration& members, bool& enter_joint) {
  using enum Change::Kind;
  const bool names_a_node = change.kind <= remove;
  if (names_a_node != (change.node != 0))
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

}  // namespace

Result<Configuration> changed(const Configuration& from, std::span<const Change> changes) {
  if (from.joint()) return left(from, changes);
  Configuration out = from;
  bool enter_joint = false;
  for (const Change& change : changes) BOP_TRY(make(change, out, enter_joint));
  BOP_TRY(check_configuration(out));
  // The same voters in both halves decide nothing else than they do alone.
  if (enter_joint || differing(from.voters, out.voters) > 1) out.outgoing = from.voters;
  return out;
}

}  // namespace bop::raft

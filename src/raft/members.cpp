#include "raft/members.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "raft/become.h"
#include "raft/change.h"
#include "raft/configuration.h"
#include "raft/election.h"
#include "raft/handover.h"
#include "raft/propose.h"
#include "raft/reads.h"
#include "raft/seeded_bugs.h"

namespace bop::raft {

namespace {

Progress new_peer(const State& s, NodeId id) {
  Progress peer;
  peer.id = id;
  peer.alive = includes(s.alive_nodes, id);
  return peer;
}

// Peers that stay keep their progress. What former ones loaded may be in this step's messages.
void update_peers(State& s) {
  const Configuration& in_force = s.configuration();
  std::vector<Progress> peers;
  for (const NodeId id : members_of(in_force)) {
    if (id == s.config.self) continue;
    Progress* const known = s.find_peer(id);
    Progress& peer = peers.emplace_back(known != nullptr ? std::move(*known) : new_peer(s, id));
    peer.votes = votes_of(in_force, id);
    if (known == nullptr && s.leads()) start_progress(s, peer);
  }
  for (Progress& peer : s.peers)
    if (!std::ranges::binary_search(peers, peer.id, {}, &Progress::id))
      s.former_peers.push_back(std::move(peer));
  s.peers = std::move(peers);
}

// A leader that is no voter any more leads until its removal is committed.
void update_role(State& s) {
  if (s.leads() || (s.role != Role::learner) == may_stand(s)) return;
  become_follower(s, s.hard.term, s.leader, {Cause::membership});
  if (s.quiesced) s.election_at = never;
}

void in_force_changed(State& s) {
  s.votes = votes_of(s.configuration(), s.config.self);
  update_peers(s);
  update_role(s);
  s.update->configuration_changed = true;
  record(s, RecordKind::configuration).entry.index = s.configurations.index();
}

bool change_is_committed(const State& s) { return s.configurations.index() <= s.commit; }

Configuration after(const Configuration& joint, Change::Kind kind) {
  const Change change{kind, 0};
  return *changed(joint, {&change, 1});
}

// The old voters decide alone again; a majority of them has to accept it, as each majority of the joint configuration
// includes one. So it needs no committed entry, and ends a change that the new voters cannot commit.
bool cancels(const State& s, const Configuration& to) {
  const Configuration& from = s.configuration();
  if (!from.joint()) return false;
  const Configuration* const previous = s.configurations.previous();
  return to == after(from, Change::Kind::cancel) ||
         (previous != nullptr && to == *previous && to.voters == from.outgoing);
}

}  // namespace

Votes votes_of(const Configuration& configuration, NodeId node) {
  return {includes(configuration.voters, node), includes(configuration.outgoing, node)};
}

bool may_stand(const State& s) {
  return std::ranges::any_of(s.configurations.all(), [&s](const ConfigurationAt& at) {
    return votes_of(at.configuration, s.config.self).any();
  });
}

void adopt_configuration(State& s) {
  s.votes = votes_of(s.configuration(), s.config.self);
  update_peers(s);
}

void append_entry(State& s, Entry entry) {
  const Index index = entry.index;
  const bool configures = entry.kind == EntryKind::configuration;
  mem::Buffer payload;
  if (configures) payload = entry.payload;
  s.log.append(std::move(entry));
  if (!configures) return;
  s.configurations.append(index, decode_configuration(payload.bytes()).value());
  in_force_changed(s);
}

void drop_configurations(State& s, Index index) {
  if (seeded(Bug::keep_truncated_configuration)) return;
  if (s.configurations.truncate(index)) in_force_changed(s);
}

void restart_configurations(State& s, const ConfigurationAt& base) {
  // At the same index the log may have had another entry.
  const bool same =
      base.index == s.configurations.index() && base.configuration == s.configuration();
  s.configurations.restart(base);
  if (same)
    update_role(s);  // it is committed now
  else
    in_force_changed(s);
}

void commit_configurations(State& s) {
  if (s.configurations.commit(s.commit)) update_role(s);
}

// The leader's own first entry: until it is committed, an earlier leader's change may still be, of which this one knows
// nothing (https://groups.google.com/g/raft-dev/c/t4xj6dJTP6E).
bop_status refusal_of_change(const State& s, const Configuration& to) {
  if (to == s.configuration()) return BOP_OK;
  if (cancels(s, to)) return BOP_OK;
  if (!knows_commit(s) && !seeded(Bug::change_before_noop)) return BOP_E_CONFIGURATION_PENDING;
  if (!change_is_committed(s) && !seeded(Bug::change_while_pending))
    return BOP_E_CONFIGURATION_PENDING;
  const bop::Status allowed = check_change(s.configuration(), to);
  return allowed ? BOP_OK : allowed.error().code;
}

void advance_change(State& s) {
  BOP_ASSERT(s.leads());
  const bool committed = change_is_committed(s) || seeded(Bug::leave_uncommitted_joint);
  if (!committed || !knows_commit(s)) return;
  const Configuration& in_force = s.configuration();
  if (in_force.joint() && in_force.auto_leave) {
    Propose leave;
    leave.kind = EntryKind::configuration;
    leave.payload = encode_configuration(after(in_force, Change::Kind::leave));
    append_own(s, leave);
  } else if (!s.votes.any()) {
    step_down(s, Cause::membership, best_successor(s));
  }
}

}  // namespace bop::raft

#include "sim/state_checker.h"

#include <algorithm>
#include <cinttypes>
#include <cstdio>
#include <utility>

#include "base/assert.h"
#include "base/checksum.h"

namespace bop::sim {

namespace {

bool before(const raft::EntryId& a, const raft::EntryId& b) {
  return a.index != b.index ? a.index < b.index : a.term < b.term;
}

std::string text_of(const raft::EntryId& id) {
  return "(" + std::to_string(id.index) + ", term " + std::to_string(id.term) + ")";
}

template <class T>
T& at_index(std::vector<T>& list, Index index) {
  if (list.size() < index) list.resize(index);
  return list[index - 1];
}

}  // namespace

uint64_t hash_of_command(Bytes command) { return hash64(command); }

uint64_t hash_of(const raft::Entry& entry) {
  std::vector<uint8_t> fields;
  fields.reserve(48);
  Writer writer(fields);
  writer.u64(entry.term);
  writer.u64(entry.index);
  writer.i64(entry.time_ns);
  writer.u64(entry.session);
  writer.u64(entry.sequence);
  writer.u32(entry.machine_version);
  writer.u8(static_cast<uint8_t>(entry.kind));
  writer.u8(entry.flags);
  return hash64(fields, hash64(entry.payload.bytes()));
}

StateChecker::Group::Group() : entries(before) {}

void StateChecker::report(const std::string& what) {
  scheduler_.trace().note(scheduler_.now(), 0, "violation", hash64(as_bytes(what)));
  scheduler_.trace().remark(scheduler_.now(), what);
  if (violation_) return;
  char time[48];
  std::snprintf(time, sizeof time, "at %" PRId64 ".%09" PRId64 " s: ", scheduler_.now() / seconds,
                scheduler_.now() % seconds);
  violation_ = time + what;
  violated_at_ = scheduler_.now();
}

std::string StateChecker::name(NodeId node, GroupId group) const {
  return "node " + std::to_string(node) + ", group " + std::to_string(group);
}

// ---- a replica's life ----

void StateChecker::began(NodeId node, GroupId group, const raft::Core& core) {
  Replica& replica = groups_[group].replicas[node];
  check_durable(node, group, replica, core);
  check_told(node, group, replica, core);
  replica.watched = true;
  replica.leads = false;
  replica.told_now = false;
  replica.acknowledged = {};
  replica.stable = 0;
  // What its machine holds a leader committed; whether it may hold it is checked elsewhere.
  groups_[group].leader_commit = std::max(groups_[group].leader_commit, core.commit());
  replica.commit = 0;
  replica.term = core.term();
  replica.terms.clear();
  for (Index index = 1; index <= core.last(); ++index) {
    replica.terms.push_back(core.term_at(index));
  }
  observe(node, group, core);
}

// The acknowledgement of a replica is a promise about its disk.
void StateChecker::check_durable(NodeId node, GroupId group, const Replica& before,
                                 const raft::Core& core) {
  const raft::EntryId promised = before.durable;
  if (promised.index == 0) return;
  const Term found = core.term_at(promised.index);
  const Term last = core.term_at(core.last());
  if (found == promised.term || last > promised.term) return;
  // Released entries are covered by the machine's own storage.
  if (found == 0 && core.last() >= promised.index && core.commit() >= promised.index) return;
  report("durability: " + name(node, group) + " had called " + text_of(promised) +
         " durable, after its restart the log ends at " + text_of({last, core.last()}));
}

// So are its term and its vote (paper, figure 2: persistent state).
void StateChecker::check_told(NodeId node, GroupId group, const Replica& before,
                              const raft::Core& core) {
  const raft::HardState told = before.told;
  const NodeId vote = core.durable_hard().vote;
  ++counters_.checks;
  if (core.term() < told.term) {
    report("promise: " + name(node, group) + " told peers of term " + std::to_string(told.term) +
           ", after its restart it is in term " + std::to_string(core.term()));
  } else if (core.term() == told.term && told.vote != 0 && vote != told.vote) {
    report("promise: " + name(node, group) + " voted for node " + std::to_string(told.vote) +
           " in term " + std::to_string(told.term) + ", after its restart it has voted for " +
           (vote == 0 ? "nobody" : "node " + std::to_string(vote)));
  }
}

void StateChecker::ended(NodeId node, GroupId group) {
  groups_[group].replicas[node].watched = false;
}

void StateChecker::sent(GroupId group, const raft::Message& message) {
  using raft::MessageKind;
  const bool grants = message.kind == MessageKind::vote_reply && message.ok;
  const bool campaigns = message.kind == MessageKind::vote_request;
  const bool acknowledges = message.kind == MessageKind::append_reply && message.ok;
  const bool leads = message.kind == MessageKind::append_request;
  if (!grants && !campaigns && !acknowledges && !leads) return;
  ++counters_.checks;
  Replica& replica = groups_[group].replicas[message.from];
  replica.told_now = true;
  if (message.term > replica.told.term) replica.told = {message.term, 0};
  if (acknowledges) {
    raft::EntryId& highest = replica.acknowledged;
    const Index before = highest.term == message.term ? highest.index : 0;
    highest = {message.term, std::max(before, message.match)};
  }
  if (message.term < replica.told.term || (!grants && !campaigns)) return;
  const NodeId candidate = grants ? message.to : message.from;
  groups_[group].votes[{message.term, candidate}].insert(message.from);
  if (replica.told.vote != 0 && replica.told.vote != candidate) {
    report("promise: " + name(message.from, group) + " votes for node " +
           std::to_string(candidate) + " in term " + std::to_string(message.term) +
           ", in which it voted for node " + std::to_string(replica.told.vote));
  }
  replica.told.vote = candidate;
}

// What was sent in the turn that ended, against the state that it ended with.
void StateChecker::check_turn(NodeId node, GroupId group, Replica& replica,
                              const raft::Core& core) {
  const raft::EntryId acknowledged = std::exchange(replica.acknowledged, {});
  if (acknowledged.term == core.term() && acknowledged.index > core.durable()) {
    report("promise: " + name(node, group) + " acknowledges entries up to " +
           std::to_string(acknowledged.index) + ", its log is durable up to " +
           std::to_string(core.durable()));
  }
  if (std::exchange(replica.told_now, false)) {
    const raft::HardState& durable = core.durable_hard();
    const raft::HardState& told = replica.told;
    const bool kept = durable.term > told.term ||
                      (durable.term == told.term && (told.vote == 0 || told.vote == durable.vote));
    if (!kept) {
      report("promise: " + name(node, group) + " tells peers of term " + std::to_string(told.term) +
             " and its vote for node " + std::to_string(told.vote) + ", its log has term " +
             std::to_string(durable.term) + " and a vote for node " + std::to_string(durable.vote));
    }
  }
  const Index stable = std::exchange(replica.stable, 0);
  if (stable > core.commit() || stable > core.durable()) {
    report("durability: " + name(node, group) + " lets its machine make permanent what is up to " +
           std::to_string(stable) + ", its log is committed up to " +
           std::to_string(core.commit()) + " and durable up to " + std::to_string(core.durable()));
  }
}

void StateChecker::observe(NodeId node, GroupId group, const raft::Core& core) {
  Replica& replica = groups_[group].replicas[node];
  if (!replica.watched) return;
  counters_.checks += 4;
  check_turn(node, group, replica, core);
  check_log(node, group, replica, core);
  check_term(node, group, replica, core);
  check_leader_of_follower(node, group, core);
  check_commit(node, group, replica, core);
  const Index durable = std::min(core.durable(), core.last());
  replica.durable = {core.term_at(durable), durable};
}

void StateChecker::check_term(NodeId node, GroupId group, Replica& replica,
                              const raft::Core& core) {
  if (core.term() < replica.term) {
    report(name(node, group) + " went back from term " + std::to_string(replica.term) + " to " +
           std::to_string(core.term()));
  }
  const bool leads = core.role() == raft::Role::leader;
  const bool led = replica.leads && replica.term == core.term();
  replica.led = replica.leads ? replica.term : 0;
  replica.term = core.term();
  replica.leads = leads;
  if (!leads || led) return;

  ++counters_.elections;
  scheduler_.trace().note(scheduler_.now(), static_cast<uint32_t>(node), "leader", core.term());
  const auto [leader, first] = groups_[group].leaders.try_emplace(core.term(), node);
  if (!first) {
    report("election safety: nodes " + std::to_string(leader->second) + " and " +
           std::to_string(node) + " lead group " + std::to_string(group) + " in term " +
           std::to_string(core.term()));
  }
  check_votes(node, group, core);
  check_leader(node, group, core);
}

void StateChecker::check_leader_of_follower(NodeId node, GroupId group, const raft::Core& core) {
  if (core.leader() == 0 || core.role() == raft::Role::leader) return;
  ++counters_.checks;
  const auto& leaders = groups_[group].leaders;
  const auto leader = leaders.find(core.term());
  if (leader == leaders.end() || leader->second == core.leader()) return;
  report("election safety: " + name(node, group) + " follows node " +
         std::to_string(core.leader()) + " in term " + std::to_string(core.term()) +
         ", which node " + std::to_string(leader->second) + " leads");
}

// A candidate votes for itself when it asks the others, whom a single voter does not have.
void StateChecker::check_votes(NodeId node, GroupId group, const raft::Core& core) {
  const std::vector<NodeId>& voters = core.configuration().voters;
  if (voters.size() == 1) return;
  ++counters_.checks;
  const size_t votes = groups_[group].votes[{core.term(), node}].size();
  if (votes > voters.size() / 2) return;
  report("election safety: " + name(node, group) + " leads term " + std::to_string(core.term()) +
         " by the votes of " + std::to_string(votes) + " of " + std::to_string(voters.size()) +
         " voters");
}

void StateChecker::check_leader(NodeId node, GroupId group, const raft::Core& core) {
  const std::vector<Term>& committed = groups_[group].committed;
  for (Index index = committed.size(); index > 0; --index) {
    const Term term = committed[index - 1];
    if (term == 0) continue;
    // Committed by a later leader, as perhaps all before it: this one was elected by votes that arrived late.
    if (term > core.term()) return;
    if (core.term_at(index) == term) return;  // and with it, by log matching, all before it
    if (core.term_at(index) == 0 && index <= core.commit()) return;  // released
    report("leader completeness: " + name(node, group) + " leads term " +
           std::to_string(core.term()) + " without committed entry " + text_of({term, index}));
    return;
  }
}

void StateChecker::check_log(NodeId node, GroupId group, Replica& replica, const raft::Core& core) {
  Index same = std::min(replica.last(), core.last());
  while (same > 0) {
    const Term term = core.term_at(same);
    // Where entries were released, nothing can have changed.
    if (term == replica.terms[same - 1] || term == 0) break;
    --same;
  }
  if (same < replica.last()) {
    const bool still_leads = core.role() == raft::Role::leader && replica.term == core.term();
    if (replica.leads && still_leads) {
      report("leader append-only: " + name(node, group) + " leads term " +
             std::to_string(core.term()) + " and dropped its entries after " +
             std::to_string(same));
    }
    if (same < replica.commit) {
      report("state machine safety: " + name(node, group) + " dropped its entries after " +
             std::to_string(same) + ", committed up to " + std::to_string(replica.commit));
    }
    replica.terms.resize(same);
  }
  for (Index index = same + 1; index <= core.last(); ++index) {
    const Term term = core.term_at(index);
    replica.terms.push_back(term);
    if (const raft::Entry* entry = core.entry(index)) {
      check_entry(node, group, *entry, core.term_at(index - 1));
    }
  }
}

void StateChecker::check_entry(NodeId node, GroupId group, const raft::Entry& entry,
                               Term term_before) {
  const raft::EntryId id{entry.term, entry.index};
  const EntryFacts facts{term_before, hash_of(entry)};
  const auto [known, first] = groups_[group].entries.try_emplace(id, facts);
  if (first) {
    ++counters_.entries;
    scheduler_.trace().note(scheduler_.now(), static_cast<uint32_t>(node), "entry", facts.hash);
    return;
  }
  if (known->second.hash != facts.hash) {
    report("log matching: " + name(node, group) + " has another content at " + text_of(id));
  }
  // 0 where the entry before was released here or there.
  if (known->second.term_before == 0) known->second.term_before = term_before;
  if (term_before != 0 && known->second.term_before != term_before) {
    report("log matching: " + name(node, group) + " has another entry before " + text_of(id));
  }
}

void StateChecker::check_commit(NodeId node, GroupId group, Replica& replica,
                                const raft::Core& core) {
  if (core.commit() < replica.commit) {
    report(name(node, group) + " took its commit back from " + std::to_string(replica.commit) +
           " to " + std::to_string(core.commit()));
  }
  if (core.commit() > core.last()) {
    report(name(node, group) + " committed " + std::to_string(core.commit()) +
           ", its log ends at " + std::to_string(core.last()));
    return;
  }
  Group& all = groups_[group];
  if (replica.led != 0) {
    if (core.commit() > replica.commit) check_leader_commit(node, group, replica, core);
    all.leader_commit = std::max(all.leader_commit, core.commit());
  } else if (core.commit() > all.leader_commit) {
    // The leader's turn in which it committed is over, or its append would not have arrived.
    if (core.role() == raft::Role::leader) {
      all.leader_commit = core.commit();
    } else {
      report("commit: " + name(node, group) + " committed entries up to " +
             std::to_string(core.commit()) + ", no leader did beyond " +
             std::to_string(all.leader_commit));
    }
  }
  std::vector<Term>& committed = all.committed;
  for (Index index = replica.commit + 1; index <= core.commit(); ++index) {
    const Term term = core.term_at(index);
    Term& known = at_index(committed, index);
    if (known == 0) known = term;
    if (term != 0 && term != known) {
      report("state machine safety: " + name(node, group) + " committed " + text_of({term, index}) +
             ", another replica " + text_of({known, index}));
    }
  }
  replica.commit = core.commit();
}

// It led before this turn began, so it committed by counting.
void StateChecker::check_leader_commit(NodeId node, GroupId group, const Replica& replica,
                                       const raft::Core& core) {
  const Index commit = core.commit();
  const Term term = core.term_at(commit);
  ++counters_.checks;
  if (core.role() == raft::Role::leader && core.term() == replica.led && term != core.term()) {
    report("commit: " + name(node, group) + " leads term " + std::to_string(core.term()) +
           " and committed " + text_of({term, commit}) + " by counting");
  }
  const std::vector<NodeId>& voters = core.configuration().voters;
  size_t durable = 0;
  for (const NodeId voter : voters) {
    const Replica& other = groups_[group].replicas[voter];
    // Of the leader itself, what this turn made durable is not noted yet.
    const Index its_durable = voter == node ? core.durable() : other.durable.index;
    if (its_durable < commit || other.last() < commit) continue;
    if (const Term its = other.terms[commit - 1]; its == term || its == 0) ++durable;
  }
  if (durable > voters.size() / 2) return;
  report("commit: " + name(node, group) + " committed " + text_of({term, commit}) + ", which " +
         std::to_string(durable) + " of " + std::to_string(voters.size()) + " voters have durably");
}

// ---- the beginning of the log ----

void StateChecker::recovered(NodeId node, GroupId group, Index before_first,
                             const std::vector<Index>& checkpoints) {
  ++counters_.checks;
  const Index held = groups_[group].replicas[node].applied;
  const auto above = std::ranges::upper_bound(checkpoints, held);
  if (above == checkpoints.begin()) {
    report("checkpoint: " + name(node, group) + ": its log has none as of an entry up to " +
           std::to_string(held) + ", which its machine's store holds");
  } else if (before_first > *std::prev(above)) {
    report("checkpoint: " + name(node, group) + ": its log begins after " +
           std::to_string(before_first) + ", but its checkpoint is as of entry " +
           std::to_string(*std::prev(above)));
  }
}

void StateChecker::compacted(NodeId node, GroupId group, Index first, Index checkpoint,
                             Index held) {
  ++counters_.checks;
  if (first <= std::min(checkpoint, held) + 1) return;
  report("checkpoint: " + name(node, group) + " compacts its log up to " +
         std::to_string(first - 1) + ", but its checkpoint is as of entry " +
         std::to_string(checkpoint) + ", and its machine's store holds " + std::to_string(held));
}

// ---- at the machine's interface ----

void StateChecker::machine_opened(NodeId node, GroupId group, Index applied) {
  Replica& replica = groups_[group].replicas[node];
  if (applied < replica.machine_durable) {
    report("durability: " + name(node, group) + ": its machine had called " +
           std::to_string(replica.machine_durable) + " durable, after a restart it holds " +
           std::to_string(applied));
  }
  if (applied > replica.durable.index) {
    report("durability: " + name(node, group) + ": its machine made " + std::to_string(applied) +
           " permanent, its log was durable up to " + std::to_string(replica.durable.index));
  }
  replica.applied = applied;
}

void StateChecker::machine_durable(NodeId node, GroupId group, Index index) {
  Replica& replica = groups_[group].replicas[node];
  if (index > replica.applied) {
    report("durability: " + name(node, group) + ": its machine calls " + std::to_string(index) +
           " durable, it was handed " + std::to_string(replica.applied));
  }
  if (replica.watched && index > replica.durable.index) {
    report("durability: " + name(node, group) + ": its machine calls " + std::to_string(index) +
           " durable, its log is durable up to " + std::to_string(replica.durable.index));
  }
  replica.machine_durable = std::max(replica.machine_durable, index);
}

void StateChecker::machine_stable(NodeId node, GroupId group, Index index) {
  Replica& replica = groups_[group].replicas[node];
  if (replica.watched) replica.stable = std::max(replica.stable, index);
}

void StateChecker::has_order(GroupId group, uint64_t command_hash, uint64_t connection,
                             uint64_t number) {
  groups_[group].places[command_hash] = {connection, number};
}

void StateChecker::order_is_open(GroupId group, uint64_t command_hash) {
  groups_[group].places.erase(command_hash);
}

void StateChecker::check_order(GroupId group, Group& all, uint64_t command_hash) {
  const auto found = all.places.find(command_hash);
  if (found == all.places.end()) return;
  const Group::Place place = found->second;
  all.places.erase(found);
  uint64_t& last = all.last_places[place.connection];
  if (place.number < last)
    report("order: group " + std::to_string(group) + " executes command " +
           std::to_string(place.number) + " of a connection after its command " +
           std::to_string(last));
  last = std::max(last, place.number);
}

void StateChecker::machine_applies(NodeId node, GroupId group, const bop_entry& entry) {
  Group& all = groups_[group];
  Replica& replica = all.replicas[node];
  if (entry.index <= replica.applied) {
    report(name(node, group) + ": its machine is handed " + std::to_string(entry.index) +
           " after " + std::to_string(replica.applied));
  }
  const auto skipped = all.commands.upper_bound(replica.applied);
  if (skipped != all.commands.end() && skipped->first < entry.index) {
    report("state machine safety: " + name(node, group) +
           ": its machine is not handed the command at " + std::to_string(skipped->first));
  }
  replica.applied = entry.index;

  std::vector<uint8_t> fields;
  Writer writer(fields);
  writer.i64(entry.time_ns);
  writer.u64(entry.session);
  writer.u64(entry.sequence);
  writer.u64(entry.seed);
  writer.u32(entry.machine_version);
  const uint64_t payload = hash_of_command({entry.command.data, entry.command.size});
  Command command{entry.term, hash64(fields, payload), payload, {}};
  scheduler_.trace().note(scheduler_.now(), static_cast<uint32_t>(node), "apply", command.hash);
  const auto [known, first] = all.commands.try_emplace(entry.index, command);
  if (first) {
    ++counters_.commands;
    Group::Proposals& proposals = all.proposals[payload];
    ++proposals.executed;
    check_executions(group, proposals);
    check_order(group, all, payload);
    known->second.answer = all.model.apply({entry.command.data, entry.command.size}, entry.index);
    for (const auto& [other, state] : all.replicas) {
      if (other == node || state.applied < entry.index) continue;
      report("state machine safety: " + name(other, group) +
             ": its machine was not handed the command at " + std::to_string(entry.index));
    }
  } else if (known->second.term != command.term || known->second.hash != command.hash) {
    report("state machine safety: " + name(node, group) +
           ": its machine is handed another command at " + std::to_string(entry.index));
  }
}

void StateChecker::machine_replied(NodeId node, GroupId group, Index index,
                                   const bop_reply& reply) {
  const auto& commands = groups_[group].commands;
  const auto command = commands.find(index);
  if (command == commands.end()) return;
  const std::string wrong =
      KvModel::difference(command->second.answer, reply.status, {reply.body.data, reply.body.size});
  if (wrong.empty()) return;
  report("model: " + name(node, group) + " answered the command at " + std::to_string(index) +
         " with " + wrong);
}

void StateChecker::machine_hashed(NodeId node, GroupId group, const bop_state_hash& hash) {
  const auto [known, first] = groups_[group].hashes.try_emplace(hash.index, hash);
  if (first) return;
  ++counters_.compared_hashes;
  if (known->second.low == hash.low && known->second.high == hash.high) return;
  report("state machine safety: " + name(node, group) + " has another state at index " +
         std::to_string(hash.index));
}

// ---- clients ----

void StateChecker::proposed(GroupId group, uint64_t command_hash) {
  ++groups_[group].proposals[command_hash].open;
}

void StateChecker::refused(GroupId group, uint64_t command_hash) {
  Group::Proposals& proposals = groups_[group].proposals[command_hash];
  BOP_ASSERT_GT(proposals.open, 0u);
  --proposals.open;
  check_executions(group, proposals);
}

void StateChecker::check_executions(GroupId group, const Group::Proposals& proposals) {
  ++counters_.checks;
  if (proposals.executed <= proposals.open) return;
  report("at most once: a command of group " + std::to_string(group) + " was executed " +
         std::to_string(proposals.executed) + " times, of its proposals " +
         std::to_string(proposals.open) + " may have been");
}

void StateChecker::read_answered(NodeId node, GroupId group, Index last_command, Index index) {
  ++counters_.checks;
  const Index applied = groups_[group].replicas[node].applied;
  if (index > applied) {
    report("read: " + name(node, group) + " answers from the state at " + std::to_string(index) +
           ", its machine was handed entries up to " + std::to_string(applied));
  }
  if (index >= last_command) return;
  report("read: " + name(node, group) + " answers from the state at " + std::to_string(index) +
         ", command " + std::to_string(last_command) + " was executed before the read was asked");
}

void StateChecker::read_shows(NodeId node, GroupId group, Index index, const std::string& key,
                              const KvModel::Version& version) {
  ++counters_.checks;
  const KvModel::Version expected = groups_[group].model.version_at(key, index);
  if (version == expected) return;
  report("read: " + name(node, group) + " answers from the state at " + std::to_string(index) +
         " with revision " + std::to_string(version.revision) + " of key " + key +
         ", which had revision " + std::to_string(expected.revision) +
         (version.revision == expected.revision ? " and another value" : ""));
}

void StateChecker::acknowledged(GroupId group, Index index, uint64_t command_hash) {
  ++counters_.acknowledged;
  const auto& commands = groups_[group].commands;
  const auto found = commands.find(index);
  if (found != commands.end() && found->second.payload == command_hash) return;
  report("acknowledgement: a client of group " + std::to_string(group) +
         " was told that its command was executed at " + std::to_string(index) +
         (found == commands.end() ? ", where no machine was handed one"
                                  : ", where machines were handed another"));
}

Index StateChecker::committed(GroupId group) const {
  const auto found = groups_.find(group);
  return found == groups_.end() ? 0 : found->second.committed.size();
}

Index StateChecker::last_command(GroupId group) const {
  const auto found = groups_.find(group);
  if (found == groups_.end() || found->second.commands.empty()) return 0;
  return found->second.commands.rbegin()->first;
}

}  // namespace bop::sim

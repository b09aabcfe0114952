// The checker observes every replica of a simulated cluster and reports the first violated invariant.
// It sees only the public state of Core and the calls of machines.
//
//   election safety       at most one leader a term                          (Raft, figure 3)
//   leader append-only    a leader neither overwrites nor drops its entries
//   log matching          an entry's (index, term) determines its content and the entry before it
//   leader completeness   a new leader's log has every committed entry
//   state machine safety  one entry per index is committed; machines receive the same commands at
//                         the same indexes, without omissions, and have equal state at equal indexes
//   durability            an entry that a replica reported durable exists after any end of its
//                         process, or was replaced in a later term, or the replica is suspect
//   model                 the machine's replies and contents are those of sim/model.h; entries that a
//                         machine reported durable are in its store after any end of its process, and
//                         it never made permanent an entry that its node's log might lose
//   acknowledgement       an acknowledged command is the one committed at the acknowledged index
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "bop/machine.h"
#include "raft/core.h"
#include "sim/model.h"
#include "sim/scheduler.h"

namespace bop::sim {

class StateChecker {
 public:
  explicit StateChecker(Scheduler& scheduler) : scheduler_(scheduler) {}

  // The first violation, with its time.
  const std::optional<std::string>& violation() const { return violation_; }
  void report(const std::string& what);

  // ---- a replica's life ----
  // Its process started and recovered this; suspect replicas are not checked.
  void began(NodeId node, GroupId group, const raft::Core& core);
  // After each of its turns.
  void observe(NodeId node, GroupId group, const raft::Core& core);
  // Its process ended: from now on it must retain all that it reported durable.
  void ended(NodeId node, GroupId group);

  // ---- calls of the machine ----
  void machine_opened(NodeId node, GroupId group, Index applied);
  // It reported that its storage would retain entries up to `index` after a power loss.
  void machine_durable(NodeId node, GroupId group, Index index);
  void machine_applies(NodeId node, GroupId group, const bop_entry& entry);
  // Its reply to that entry.
  void machine_replied(NodeId node, GroupId group, Index index, const bop_reply& reply);
  void machine_hashed(NodeId node, GroupId group, const bop_state_hash& hash);

  // ---- clients ----
  // A client received success for a command of that content at that index.
  void acknowledged(GroupId group, Index index, uint64_t command_hash);

  Index committed(GroupId group) const;
  // The last index at which a machine received a command.
  Index last_command(GroupId group) const;
  // The contents of every machine that applied all commands.
  const KvModel::Records& contents(GroupId group) { return groups_[group].model.records(); }

  struct Counters {
    uint64_t elections = 0, entries = 0, commands = 0, acknowledged = 0, compared_hashes = 0;
  };
  const Counters& counters() const { return counters_; }

 private:
  struct Replica {
    bool watched = false;
    std::vector<Term> terms;  // of the log's entries by index - 1, 0: not known
    Term term = 0;
    bool leads = false;
    Index commit = 0;
    raft::EntryId durable;      // kept when the process ends
    Index applied = 0;          // by its machine
    Index machine_durable = 0;  // the highest it ever reported
    Index last() const { return terms.size(); }
  };
  struct EntryFacts {
    Term term_before = 0;
    uint64_t hash = 0;
  };
  struct Command {
    Term term = 0;
    uint64_t hash = 0;     // of the whole command as the machine receives it
    uint64_t payload = 0;  // of what the client proposed
    KvModel::Answer answer;
  };
  struct Group {
    std::map<Term, NodeId> leaders;
    std::map<raft::EntryId, EntryFacts, bool (*)(const raft::EntryId&, const raft::EntryId&)>
        entries;
    std::vector<Term> committed;  // by index - 1, 0: not known
    std::map<Index, Command> commands;
    KvModel model;  // after all commands
    std::map<Index, bop_state_hash> hashes;
    std::map<NodeId, Replica> replicas;
    Group();
  };

  std::string name(NodeId node, GroupId group) const;
  void check_term(NodeId node, GroupId group, Replica& replica, const raft::Core& core);
  void check_log(NodeId node, GroupId group, Replica& replica, const raft::Core& core);
  void check_entry(NodeId node, GroupId group, const raft::Entry& entry, Term term_before);
  void check_commit(NodeId node, GroupId group, Replica& replica, const raft::Core& core);
  void check_leader(NodeId node, GroupId group, const raft::Core& core);
  void check_durable(NodeId node, GroupId group, const Replica& before, const raft::Core& core);

  Scheduler& scheduler_;
  std::map<GroupId, Group> groups_;
  std::optional<std::string> violation_;
  Counters counters_;
};

uint64_t hash_of(const raft::Entry& entry);
uint64_t hash_of_command(Bytes command);

}  // namespace bop::sim

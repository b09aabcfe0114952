// The checker observes every replica of a simulated cluster and reports the first violated invariant.
// It sees only the public state of Core and the calls of machines.
//
//   election safety       at most one leader a term (Raft, figure 3), by votes of a majority, and replicas follow the
//                         leader of their term
//   leader append-only    a leader neither overwrites nor drops its entries
//   log matching          an entry's (index, term) determines its content and the entry before it
//   leader completeness   a new leader's log has every committed entry
//   state machine safety  one entry per index is committed; machines receive the same commands at
//                         the same indexes, without omissions, and have equal state at equal indexes
//   commit                a leader commits through an entry of its own term (paper, section 5.4.2), once a
//                         majority of the voters has it durably; a follower commits what a leader did
//   promise               a node that told a peer of a term, a vote or an acknowledgement has it in its log:
//                         after any end of its process it is still in that term, has still given that
//                         vote, and votes for nobody else
//   read                  an answer to a read shows the state after one entry, and with it every command
//                         that was executed anywhere before the read was asked for
//   at most once          a command is executed no more often than it was proposed, and never when its
//                         client was told that it was not
//   order                 the commands of one connection take effect in the order in which it sent them, unless
//                         it was told that the outcome of one is unknown
//   durability            an entry that a replica reported durable exists after any end of its
//                         process, or was replaced in a later term, or the replica is suspect
//   checkpoint            a replica's log, on the disk and when it is compacted, begins no later than after the newest
//                         checkpoint that its machine's store has reached
//   model                 the machine's replies and contents are those of sim/model.h; entries that a
//                         machine reported durable are in its store after any end of its process, and
//                         it never made permanent an entry that its node's log might lose
//   acknowledgement       an acknowledged command is the one committed at the acknowledged index
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/ids.h"
#include "bop/machine.h"
#include "raft/core.h"
#include "raft/types.h"
#include "sim/model.h"
#include "sim/scheduler.h"

namespace bop::sim {

class StateChecker {
 public:
  explicit StateChecker(Scheduler& scheduler) : scheduler_(scheduler) {}

  // The first violation, with its time.
  const std::optional<std::string>& violation() const { return violation_; }
  Instant violated_at() const { return violated_at_; }
  void report(const std::string& what);

  // ---- a replica's life ----
  // Its process started and recovered this; suspect replicas are not checked.
  void began(NodeId node, GroupId group, const raft::Core& core);
  // After each of its turns.
  void observe(NodeId node, GroupId group, const raft::Core& core);
  // Its process ended: from now on it must retain all that it reported durable.
  void ended(NodeId node, GroupId group);
  // A replica's message is on its way to a peer.
  void sent(GroupId group, const raft::Message& message);

  // On the disk, the log begins after entry `before_first` and has these checkpoints, by index. Its machine was opened.
  void recovered(NodeId node, GroupId group, Index before_first,
                 const std::vector<Index>& checkpoints);
  // A running replica's log begins with entry `first`, its newest checkpoint that the machine's store has reached is as
  // of `checkpoint`, and the store has reached `held`.
  void compacted(NodeId node, GroupId group, Index first, Index checkpoint, Index held);

  // ---- calls of the machine ----
  void machine_opened(NodeId node, GroupId group, Index applied);
  // It reported that its storage would retain entries up to `index` after a power loss.
  void machine_durable(NodeId node, GroupId group, Index index);
  // It was told that the log is committed and durable up to `index`.
  void machine_stable(NodeId node, GroupId group, Index index);
  void machine_applies(NodeId node, GroupId group, const bop_entry& entry);
  // Its reply to that entry.
  void machine_replied(NodeId node, GroupId group, Index index, const bop_reply& reply);
  void machine_hashed(NodeId node, GroupId group, const bop_state_hash& hash);

  // ---- clients ----
  // A client asks a node to execute a command of that content.
  void proposed(GroupId group, uint64_t command_hash);
  // It was told that the command was not executed, and never will be.
  void refused(GroupId group, uint64_t command_hash);
  // This command is the `number`th of that connection, which sends the next one without waiting for its answer.
  void has_order(GroupId group, uint64_t command_hash, uint64_t connection, uint64_t number);
  // Its outcome is unknown, and it may still be executed at any time.
  void order_is_open(GroupId group, uint64_t command_hash);
  // A client received success for a command of that content at that index.
  void acknowledged(GroupId group, Index index, uint64_t command_hash);
  // A node answered a read that was asked for when `last_command` was the last command executed anywhere, from the
  // state after the entry at `index`.
  void read_answered(NodeId node, GroupId group, Index last_command, Index index);
  // Of that answer, one key.
  void read_shows(NodeId node, GroupId group, Index index, const std::string& key,
                  const KvModel::Version& version);

  Index committed(GroupId group) const;
  // The last index at which a machine received a command.
  Index last_command(GroupId group) const;
  // The contents of every machine that applied all commands.
  const KvModel::Records& contents(GroupId group) { return groups_[group].model.records(); }

  struct Counters {
    uint64_t elections = 0, entries = 0, commands = 0, acknowledged = 0, compared_hashes = 0;
    uint64_t checks = 0;  // of invariants, of every kind
  };
  const Counters& counters() const { return counters_; }

 private:
  struct Replica {
    bool watched = false;
    std::vector<Term> terms;  // of the log's entries by index - 1, 0: not known
    Term term = 0;
    bool leads = false;
    Term led = 0;  // the term that it led before the last turn; 0: none
    Index commit = 0;
    raft::EntryId durable;  // kept when the process ends
    // Told to peers, and kept when the process ends.
    raft::HardState told;
    bool told_now = false;  // in this turn
    // Of this turn: the highest acknowledgement sent, with the term it was sent in, and the highest index
    // that the machine was told to be stable.
    raft::EntryId acknowledged;
    Index stable = 0;
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
    struct Proposals {
      uint64_t open = 0;  // and those answered with success
      uint64_t executed = 0;
    };
    std::map<uint64_t, Proposals> proposals;  // by the hash of the command
    struct Place {
      uint64_t connection = 0;
      uint64_t number = 0;
    };
    std::map<uint64_t, Place> places;          // of commands with an order, by hash
    std::map<uint64_t, uint64_t> last_places;  // executed so far, by connection
    Index leader_commit = 0;                   // the highest that a leader's commit index ever was
    std::map<Term, NodeId> leaders;
    std::map<std::pair<Term, NodeId>, std::set<NodeId>> votes;  // sent, by term and candidate
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
  void check_told(NodeId node, GroupId group, const Replica& before, const raft::Core& core);
  void check_turn(NodeId node, GroupId group, Replica& replica, const raft::Core& core);
  void check_leader_commit(NodeId node, GroupId group, const Replica& replica,
                           const raft::Core& core);
  void check_order(GroupId group, Group& all, uint64_t command_hash);
  void check_executions(GroupId group, const Group::Proposals& proposals);
  void check_leader_of_follower(NodeId node, GroupId group, const raft::Core& core);
  void check_term(NodeId node, GroupId group, Replica& replica, const raft::Core& core);
  void check_log(NodeId node, GroupId group, Replica& replica, const raft::Core& core);
  void check_entry(NodeId node, GroupId group, const raft::Entry& entry, Term term_before);
  void check_commit(NodeId node, GroupId group, Replica& replica, const raft::Core& core);
  void check_votes(NodeId node, GroupId group, const raft::Core& core);
  void check_leader(NodeId node, GroupId group, const raft::Core& core);
  void check_durable(NodeId node, GroupId group, const Replica& before, const raft::Core& core);

  Scheduler& scheduler_;
  std::map<GroupId, Group> groups_;
  std::optional<std::string> violation_;
  Instant violated_at_ = 0;
  Counters counters_;
};

uint64_t hash_of(const raft::Entry& entry);
uint64_t hash_of_command(Bytes command);

}  // namespace bop::sim

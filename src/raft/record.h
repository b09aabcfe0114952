// Records of what happened in a step and why, for log lines, metrics and tests. No decision of the core
// depends on them, and a host may ignore them.
#pragma once

#include <cstdint>
#include <string>

#include "raft/types.h"

namespace bop::raft {

// Why something happened. The comments state which kinds of records have which causes.
// clang-format off
#define BOP_RAFT_CAUSES(cause) \
  cause(none, "") \
  /* of a role: why role, term or leader changed */ \
  cause(election_timeout, "no leader was heard for an election timeout") \
  cause(transfer, "its leader stepped down and chose it as successor") \
  cause(pre_vote_quorum, "a majority would vote for it") \
  cause(vote_quorum, "a majority voted for it") \
  cause(higher_term, "a peer is in a higher term") \
  cause(append_received, "the leader of the term sent an append") \
  cause(vote_granted, "another candidate gets its vote") \
  cause(quorum_lost, "no majority answered for an election timeout") \
  cause(no_progress, "no majority received entries for two election timeouts") \
  cause(unhealthy, "its log does not keep up with writes") \
  cause(halted, "it halted") \
  cause(resigned, "its node is stopping") \
  cause(machine_held_up, "its machine applies nothing") \
  cause(entry_unreadable, "its log cannot read an entry that another node needs") \
  cause(node_lost, "its leader's node is not heard any more, restarted or has an unhealthy log") \
  cause(step_down_notice, "its leader stepped down") \
  cause(leadership_denied, "the node that it followed does not lead") \
  cause(transfer_asked, "it was asked to transfer the leadership") \
  cause(membership, "the group's members changed") \
  /* of a vote: why it was refused */ \
  cause(stale_term, "its term is over") \
  cause(already_voted, "this node voted for another candidate in the term") \
  cause(leader_alive, "this node has a leader that is alive") \
  cause(log_behind, "the candidate's log is behind") \
  /* of append_rejected; the last three also of a role: a hindered leader steps down */ \
  cause(missing_entry, "the entry before it is missing here") \
  cause(conflicting_entry, "the entry before it is of another term here") \
  cause(conflicts_with_committed, "it contradicts entries that are committed here") \
  cause(second_leader, "the term has another leader") \
  cause(log_full, "the log is full") \
  cause(disk_full, "the disk is full") \
  cause(machine_behind, "the machine is too far behind") \
  /* of woke */ \
  cause(read, "a read was requested") \
  cause(proposal, "a command was proposed") \
  cause(forward_failed, "a request could not be forwarded to the leader, or was not answered") \
  cause(pre_vote_asked, "a peer misses the leader") \
  cause(peer_lost, "a peer's node is not heard any more")
// clang-format on

enum class Cause : uint8_t {
#define BOP_RAFT_CAUSE(name, text) name,
  BOP_RAFT_CAUSES(BOP_RAFT_CAUSE)
#undef BOP_RAFT_CAUSE
};
constexpr size_t cause_count = static_cast<size_t>(Cause::peer_lost) + 1;

const char* name_of(Cause cause);  // its identifier
const char* text_of(Cause cause);  // a clause for people
const char* name_of(Role role);
const char* name_of(MessageKind kind);

// Who a replica is and whom it follows.
struct Standing {
  Role role{};
  Term term = 0;
  NodeId leader = 0;  // 0: unknown
  friend bool operator==(const Standing&, const Standing&) = default;
};

enum class RecordKind : uint8_t {
  configuration,  // Core::configuration() is in force, that of entry `entry.index`; also the first record after
                  // a start
  role,  // `before` became `now` because of `cause`; also for each repeated campaign. Of a leader that
         // steps down in its own term, `node` is the successor that it named
  vote,           // `node` requested a (pre-)vote in `entry.term`: granted, or refused for `cause`
  vote_received,  // `node` granted or refused its (pre-)vote to this replica
  append_rejected,  // an append of `node` after `entry`, or some of its entries, was rejected for `cause`
  append_refused,  // on a leader: `node` rejected an append; the next one begins at `entry.index`
  first_commit,    // `entry`, the first one of the term, is committed
  quiesced,        // heartbeats are no longer sent or expected
  woke,            // heartbeats are sent or expected again; cause none: because of a message
  needs_snapshot,  // on a leader: its log begins after `entry`, and `node` lacks entries up to it
  has_snapshot,    // on a leader: `node` holds `entry` now, and is sent the entries after it
  snapshot_offered,  // `node`, the leader, offers a snapshot as of `entry`; only when it is another one
  installed,         // a snapshot as of `entry` was adopted
  install_ignored,  // a snapshot as of `entry` was not adopted: the replica is past it
};

// A field that a kind does not name is zero.
struct Record {
  RecordKind kind{};
  Cause cause = Cause::none;
  bool pre_vote = false;
  bool granted = false;
  NodeId node = 0;
  EntryId entry;
  Standing before;
  Standing now;  // when the record was made; set for every kind
};

// Voters and learners, for people.
std::string describe(const Configuration& configuration);
// One line for people, without node, group and term.
std::string describe(const Record& record);
// One line for people: sender, receiver, kind and the fields that are not zero. describe_content omits sender
// and receiver.
std::string describe(const Message& message);
std::string describe_content(const Message& message);

}  // namespace bop::raft

// The terms of Raft, named as in its paper and in Ongaro's dissertation. The only header of this module
// that `log` and `proto` may include.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/checksum.h"
#include "base/ids.h"
#include "mem/buffer.h"

namespace bop::raft {

// Kinds 3 (session), 4 (upgrade) and 5 (recovery) are reserved for what later versions add.
enum class EntryKind : uint8_t {
  noop = 0,           // the first entry of a new leader (§5.4.2, dissertation §6.4)
  configuration = 1,  // payload: raft/configuration.h; in force once it is appended (§4.1)
  command = 2,        // payload: a command in the machine's encoding
};

struct Entry {
  Term term = 0;
  Index index = 0;
  int64_t time_ns = 0;  // wall clock of the leader, in ns since 1970; never decreases along the log
  uint64_t session = 0;          // of the client; 0: none
  uint64_t sequence = 0;         // of the command within its session
  uint32_t behind = 0;           // sequence - the session's lowest unanswered sequence
  uint32_t machine_version = 0;  // version of the machine's rules with which the command is applied
  EntryKind kind = EntryKind::noop;
  uint8_t flags = 0;  // none defined
  mem::Buffer payload;

  // What this entry counts as against limits: its payload and roughly the size of its fields.
  size_t cost() const { return cost_of(payload.size()); }
  static size_t cost_of(size_t payload_bytes) { return payload_bytes + 64; }
};

// What of an entry only a later version understands; nullptr: nothing. A replica must neither apply nor
// skip such an entry, because the others may do something else with it.
inline const char* newer_feature(const Entry& entry) {
  if (entry.kind > EntryKind::command) return "an unknown kind";
  if (entry.flags != 0) return "unknown flags";
  if (entry.session != 0 || entry.sequence != 0 || entry.behind != 0) return "a session";
  return nullptr;
}

// What a replica must never lose (paper, figure 2: persistent state).
struct HardState {
  Term term = 0;
  NodeId vote = 0;  // 0: none given in this term
  friend bool operator==(const HardState&, const HardState&) = default;
};

struct EntryId {
  Term term = 0;
  Index index = 0;
  friend bool operator==(const EntryId&, const EntryId&) = default;
};

// Names a snapshot of the group.
struct SnapshotRef {
  EntryId at;  // it has the state after this entry, which is committed
  Hash128 id;  // digest of its manifest
  friend bool operator==(const SnapshotRef&, const SnapshotRef&) = default;
};

// Consecutive entries of one term.
struct TermRun {
  Index first = 0;
  Term term = 0;
  friend bool operator==(const TermRun&, const TermRun&) = default;
};

enum class Role : uint8_t { follower, pre_candidate, candidate, leader, learner };

enum class MessageKind : uint8_t {
  pre_vote_request = 1,
  pre_vote_reply = 2,
  vote_request = 3,
  vote_reply = 4,
  append_request = 5,  // without entries: a heartbeat, a ReadIndex probe or the commit update
  append_reply = 6,
  read_request = 7,      // a follower requests a read index from its leader
  read_reply = 8,        // ok: `index`; otherwise the receiver of the request does not lead
  step_down_notice = 9,  // a leader of `term` steps down
  snapshot_offer = 10,   // the leader's log no longer has the entries that the receiver lacks
};

// Whether a log can take more commands.
enum class LogCapacity : uint8_t { available = 0, log_full = 1, disk_full = 2 };

// One flat struct for all kinds; a field that a kind does not use is zero. `entries` points into the
// core's log or a decoder's buffer and is valid until the next step.
struct Message {
  MessageKind kind{};
  NodeId from = 0;
  NodeId to = 0;
  Term term = 0;

  // Requests for votes: the candidate's last entry. append_request: the entry before `entries`.
  // append_reply when refused: the hint (term of the conflicting entry, first index of that term).
  // append_reply when accepted: `index`, the last entry received that agrees with the leader's log,
  // durable or not.
  // read_reply: `index`.
  // snapshot_offer: the last entry of the snapshot.
  Term log_term = 0;
  Index index = 0;

  // append_request: the leader's commit index. append_reply: the follower's.
  Index commit = 0;
  // append_request: every voter holds all entries up to it, so the log may be compacted up to it.
  Index compact = 0;
  // append_reply: min(match, durable).
  Index match = 0;
  // append_request: number of the read and check-quorum round; append_reply echoes it.
  // read_request: number of the follower's request; read_reply echoes it.
  uint64_t round = 0;

  Hash128 snapshot;  // snapshot_offer: its id

  bool ok = false;  // replies: granted, accepted. step_down_notice: the receiver should campaign
                    // at once
  bool quiesce = false;  // append_request: all is replicated and committed, quiesce; reply: it did
  LogCapacity log_capacity = LogCapacity::available;  // append_reply: of the follower's log
  bool hindered = false;  // append_reply: the sender could not serve as leader (raft::Hindered).
                          // step_down_notice: that is why it steps down
  // append_request without entries; not on the wire: the host must not let it overtake appends that were
  // sent before, as it may other messages.
  bool in_order = false;
  std::span<const Entry> entries;
};

// The members of a group, as an entry of its log. A joint configuration (§6) has two halves: what it decides, a majority of
// each half decides.
struct Configuration {
  std::vector<NodeId>
      voters;  // sorted; of a joint configuration, those of the half that is entered
  std::vector<NodeId>
      learners;  // sorted; of that half, so one that still votes in the other may be among them
  std::vector<NodeId> outgoing{};  // sorted: the voters of the half that is left; empty: not joint
  bool auto_leave = false;  // joint: once it is committed, a leader leaves it without being asked
  bool joint() const { return !outgoing.empty(); }
  friend bool operator==(const Configuration&, const Configuration&) = default;
};

// In which halves of a configuration a member votes. One that is not joint has one half: the one that is entered.
struct Votes {
  bool entered = false;
  bool left = false;
  bool any() const { return entered || left; }
};

struct ConfigurationAt {
  Index index = 0;  // of its entry; 0: the group was formed with it
  Configuration configuration;
  friend bool operator==(const ConfigurationAt&, const ConfigurationAt&) = default;
};

}  // namespace bop::raft

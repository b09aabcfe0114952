// The consensus core: events in, an update out.
//
//            election timeout          quorum would vote            quorum voted
//  follower ─────────────────► pre_candidate ────────────► candidate ────────────► leader
//     ▲                             │                          │                      │
//     └─────────────────────────────┴──── higher term, or a leader of this term ──────┘
//                                          (a leader also: no quorum answers or receives entries, health
//                                           lost, hindered while another voter can serve)
//
// Core has no clock, no I/O and no threads. Equal config, restored state and events give equal
// updates, bit for bit. The host must deliver events in the order in which they happened, and
// Persisted events in the order of the persists that they complete.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <variant>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "raft/config.h"
#include "raft/record.h"
#include "raft/types.h"

namespace bop::raft {

// What recovery found. The log's entries stay on disk; those that peers or the machine need are read
// from there.
struct Restored {
  HardState hard;
  std::vector<TermRun> runs;  // of the entries first..last, ascending; empty for an empty log
  EntryId before_first;  // the entry before the first one kept: {0, 0} or the last one compacted
  Index last = 0;        // all entries up to it are durable
  Index commit = 0;      // known to be committed: what the machine holds durably
  int64_t last_time_ns = 0;  // of the last entry
  // In force after the entry before_first or a later one up to `commit`, and those of the entries after that one.
  ConfigurationAt configuration;
  std::vector<ConfigurationAt> later_configurations;
};

// Identifies one persist in a replica's sequence of them, and states what is durable once it completes.
struct PersistMark {
  uint64_t number = 0;  // 1, 2, 3 ... for this Core; 0: nothing to persist
  HardState hard;
  // Acknowledgement is by (leader term, index).
  Term leader_term = 0;  // term of the leader whose log this one is a prefix of
  Index index = 0;       // last entry written
};

// ---- events ----

struct Propose {
  uint64_t token = 0;  // returned in Update::proposed or refused
  EntryKind kind = EntryKind::command;
  uint64_t session = 0;
  uint64_t sequence = 0;
  uint32_t machine_version = 0;
  mem::Buffer payload;
};
struct Receive {
  Message message;
  // Not available: the log has no capacity for the message's entries, and the host removed them.
  LogCapacity log_capacity = LogCapacity::available;
};
struct Persisted {
  PersistMark mark;
};
struct Read {
  uint64_t token = 0;  // returned in Update::reads or refused, exactly once
};
// Entries requested by Update::loads, possibly fewer than requested. None at all (a read error) ends the
// load; the core requests it again at the next heartbeat.
struct Loaded {
  NodeId peer = 0;
  Index first = 0;
  std::vector<Entry> entries;
};
// Liveness does not hear a node any more, the node restarted, or one of its logs became unhealthy. A replica
// that followed a leader on that node has no leader any more.
struct NodeLost {
  NodeId node = 0;
};
// Liveness hears a node, for the first time or again after NodeLost. Until then the node is not alive. A
// group quiesces only while all its nodes are alive, because a quiesced group relies on NodeLost alone.
struct NodeAlive {
  NodeId node = 0;
};
// A request could not be forwarded to that leader, or was not answered. A quiesced follower wakes, and
// campaigns unless it hears from this leader within an election timeout.
struct ForwardFailed {
  NodeId leader = 0;
};
// The node refused a forwarded request because it does not lead in that term, and never will again.
struct ForwardDenied {
  NodeId leader = 0;
  Term term = 0;
};
// So many bytes more reached the host of a node, on the way that entries take, whatever they were: parts
// of entries that are still to come whole, or what lies before them. A large entry on a slow link arrives
// within its time, and the leader need not step down.
struct Delivered {
  NodeId node = 0;
  uint64_t bytes = 0;
};
// Whether this shard's log keeps up with writes. An unhealthy replica steps down and does not campaign.
// `cause`: why it steps down.
struct Health {
  bool healthy = true;
  Cause cause = Cause::unhealthy;
};
// What keeps this replica from serving as leader while its log works: its machine applies nothing or is too far
// behind, its log takes no commands or cannot read an entry that a peer needs. Cause::none: nothing, any more.
// A hindered replica follows, votes and acknowledges as before. As leader it hands over to a voter that can
// serve (handover.h); without a leader it campaigns only after the others had the time to.
struct Hindered {
  Cause cause = Cause::none;
};
// Passes the leadership to a voter. Meanwhile the leader takes no proposals (Core::hands_over). If the voter does not get
// all entries in time, the leader goes on. The successor is in the record of the role; nothing happens, if this replica
// does not lead or the target does not vote.
struct Transfer {
  NodeId target = 0;  // 0: the voter that can take over soonest
  Duration within = 0;
};
// The host's log no longer has the entries up to `through`, which are applied. A peer that lacks one of them needs a
// snapshot from now on.
struct Compacted {
  Index through = 0;
};
// The newest snapshot of the group that this replica can send; {}: it has none any more.
struct SnapshotReady {
  SnapshotRef newest;
};
// The machine was restored from a snapshot that Update::offer named, in an instance that is not in use yet, and all of it
// is durable. The core adopts it (Update::restart) unless the replica is past it by now: a position never moves back.
struct Installed {
  Term term = 0;        // of the offer: the leader of that term has `at` as a committed entry
  EntryId at;           // the last entry of the snapshot
  int64_t time_ns = 0;  // the leader's time in that entry
  ConfigurationAt configuration;  // that is in force after it
};
// The host is about to stop: the replica steps down and does not campaign for two election timeouts. The
// only replica of its group ignores it.
struct Resign {};

using Event = std::variant<Propose, Receive, Persisted, Read, Loaded, NodeLost, NodeAlive,
                           ForwardFailed, ForwardDenied, Delivered, Health, Hindered, Transfer,
                           Compacted, SnapshotReady, Installed, Resign>;

// ---- update ----

// What the host must do, in this order:
//  1. persist: with `restart`, write that the log is empty and begins after that entry, and that the machine's new
//     instance is the one in use; then write `entries` (the first one replaces all entries from its index on) and
//     `mark.hard` as one record. Deliver Persisted{mark} once the device has all of it. Persists complete in order.
//  2. send `messages` at once. Messages that depend on a persist are not among them: the core emits
//     those when it receives Persisted.
//  3. apply entries up to `commit` to the machine, in order. The machine may make permanent only entries
//     that are durable here, too: up to min(commit, durable()).
//  4. complete proposed, refused and reads (a read once the machine has applied its index).
//  5. step again at `deadline`, or with the next event.
// Spans and entries are valid until the next step.
struct Update {
  struct Proposed {
    uint64_t token;
    EntryId id;
  };
  struct Refused {  // a command that was provably not proposed, or a read that cannot be served
    uint64_t token;
    bop_status error;  // NOT_LEADER, OVERLOADED, UNAVAILABLE;
                       // LOG_FULL, DISK_FULL: no quorum of replicas has capacity;
                       // CONFIGURATION_PENDING: another change of the members is not finished;
                       // BAD_CONFIG: no such change is possible
    bool read;
  };
  struct ReadReady {
    uint64_t token;
    Index index;
  };
  struct Load {
    NodeId peer;
    Index first;
    size_t max_bytes;
  };

  // A snapshot that the leader offers because its log no longer has the entries that this replica lacks. Repeated with
  // each heartbeat until the replica holds that entry.
  struct Offer {
    NodeId from;
    Term term;
    SnapshotRef snapshot;
  };

  PersistMark mark;  // number 0: nothing to persist
  EntryId restart;   // index 0: the log does not restart. Otherwise Installed was adopted
  std::vector<std::span<const Entry>>
      entries;  // consecutive pieces; empty when only `mark.hard` changed
  std::vector<Message> messages;
  std::vector<Load> loads;
  std::vector<Proposed> proposed;
  std::vector<Refused> refused;
  std::vector<ReadReady> reads;
  std::optional<Offer> offer;
  // A peer needs a snapshot as of this entry or a later one, and this replica has none: take one, and report it with
  // SnapshotReady. 0: none is needed.
  Index snapshot_wanted = 0;
  std::vector<Record> records;  // what happened in this step, in order
  Index commit = 0;
  Index compact = 0;                   // every voter has it: the log may be compacted up to it
  bool role_changed = false;           // the role, term or known leader
  bool configuration_changed = false;  // another configuration is in force
  Instant deadline = never;

  void clear();
};

struct State;

class Core {
 public:
  Core(const Config& config, const Restored& restored, Instant now);
  ~Core();
  Core(const Core&) = delete;
  Core& operator=(const Core&) = delete;

  // Handles the events in order, then the timers due at `now`. New entries get the time `wall_ns`.
  void step(Instant now, int64_t wall_ns, std::span<const Event> events, Update& update);

  Role role() const;
  Term term() const;
  NodeId leader() const;  // 0: unknown
  Index commit() const;
  Index first() const;  // the first entry that the log has, or will have
  Index last() const;
  Index durable() const;
  const HardState& durable_hard() const;  // the term and vote that a crash would leave
  Index first_cached() const;             // entries from here to last() are in memory
  bool quiesced() const;
  // It leads, and waits for the voter that takes over to have all entries. Meanwhile it refuses proposals
  // with NOT_LEADER; the host should hold them back, because this ends within an election timeout.
  bool hands_over() const;
  // The one in force: that of the last such entry in the log, committed or not.
  const Configuration& configuration() const;
  Index configuration_index() const;
  // An entry in memory; nullptr when it has to be read from the log's files.
  const Entry* entry(Index index) const;
  // Consecutive entries in memory from `first`, at most up to `last`; fewer where the ring wraps.
  std::span<const Entry> entries(Index first, Index last) const;
  // The term of an entry of the log; 0 when the log does not hold it.
  Term term_at(Index index) const;
  // The machine has applied all entries up to `index`: they may be evicted from memory.
  void applied(Index index);

  // Asserts every invariant of raft/invariants.h. Debug builds do so after each step.
  void check() const;

 private:
  std::unique_ptr<State> state_;
};

}  // namespace bop::raft

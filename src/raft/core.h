// The consensus core: events in, an update out.
//
//            election timeout          quorum would vote            quorum voted
//  follower ─────────────────► pre_candidate ────────────► candidate ────────────► leader
//     ▲                             │                          │                      │
//     └─────────────────────────────┴──── higher term, or a leader of this term ──────┘
//                                          (a leader also: no quorum answers or receives entries, health
//                                           lost)
//
// Core has no clock, no I/O and no threads. The same config, restored state and events give the
// same updates, bit for bit. It trusts that its events are in order and that persisted events
// follow the order of the persists they answer.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <variant>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "raft/record.h"
#include "raft/types.h"

namespace bop::raft {

struct Config {
  NodeId self = 0;
  // Of the election jitter and of the numbers under which reads are asked for. It must be another one
  // at each start (say, of node, group and the log's epoch): an answer to an earlier life's question
  // must not pass for one of this life's.
  uint64_t seed = 0;
  Duration election_timeout = 1 * seconds;  // drawn from [timeout, 2 * timeout)
  Duration heartbeat_interval = 100 * milliseconds;
  size_t max_append_bytes = 1 << 20;  // of one append_request
  size_t max_append_entries = 4096;
  size_t max_inflight_bytes = 8 << 20;  // sent to one peer and not acknowledged
  size_t max_inflight_appends = 64;
  size_t max_uncommitted_bytes = 64 << 20;  // not committed or not applied; proposals beyond are
                                            // refused: OVERLOADED
  size_t max_pending_reads = 65536;
  size_t cache_bytes = 32 << 20;  // applied entries kept in memory for slow peers
  bool quiesce = true;            // a group without work sends no heartbeats
};

// What recovery found. The log's entries stay on disk; those that peers or the machine need are
// loaded.
struct Restored {
  HardState hard;
  std::vector<TermRun> runs;  // of the entries first..last, ascending; empty log: empty
  EntryId before_first;       // the entry before the first one kept: 0, 0 or what was released
  Index last = 0;             // all durable
  Index commit = 0;           // known committed: what the machine holds durably
  int64_t last_time_ns = 0;   // of the last entry
  Configuration configuration;
};

// A point in the order of a replica's persists: what is durable when it completes.
struct PersistMark {
  uint64_t number = 0;  // 1, 2, 3 ... for this Core; 0: nothing to persist
  HardState hard;
  Term leader_term = 0;  // of the leader whose log ours is a prefix of, and the
  Index index = 0;       // last entry that is written: acknowledgement is by (leader term, index)
};

// ---- events ----

struct Propose {
  uint64_t token = 0;  // comes back in Update::proposed or refused
  EntryKind kind = EntryKind::command;
  uint64_t session = 0;
  uint64_t sequence = 0;
  uint32_t machine_version = 0;
  mem::Buffer payload;
};
struct Receive {
  Message message;
  LogCapacity log_capacity =
      LogCapacity::available;  // else its entries were left out: the log has no room for them
};
struct Persisted {
  PersistMark mark;
};
struct Read {
  uint64_t token = 0;  // comes back in Update::reads or refused
};
// Entries asked for by Update::loads; fewer than asked is fine, none (read error) closes the peer's
// load and it is asked for again at the next heartbeat.
struct Loaded {
  NodeId peer = 0;
  Index first = 0;
  std::vector<Entry> entries;
};
// A node is not heard any more, came back under another incarnation, or its shard's health changed:
// leaderships believed there end.
struct NodeLost {
  NodeId node = 0;
};
// A node is heard by the host's liveness, for the first time or again after NodeLost. None is alive
// before. A group quiesces only while all its nodes are: from then on nothing but NodeLost watches it.
struct NodeAlive {
  NodeId node = 0;
};
// A request could not be forwarded to that leader, or got no answer. A quiesced follower wakes: it elects
// another leader unless it hears of this one.
struct ForwardFailed {
  NodeId leader = 0;
};
// The node answered a forwarded request that it does not lead in that term, so it never will again.
struct ForwardDenied {
  NodeId leader = 0;
  Term term = 0;
};
// Whether this shard's log keeps up. An unhealthy replica gives up leading and does not campaign.
struct Health {
  bool healthy = true;
};
// The host gives up leading (a clean stop), and does not campaign for two election timeouts. Alone it
// goes on.
struct Resign {};

using Event = std::variant<Propose, Receive, Persisted, Read, Loaded, NodeLost, NodeAlive,
                           ForwardFailed, ForwardDenied, Health, Resign>;

// ---- update ----

// What the host must do, in this order:
//  1. persist: write `entries` (the first replaces what stands at its index and after) and `mark.hard`
//     as one record; give Persisted{mark} back when the device has it. Persists complete in order.
//  2. send `messages`, at once: they wait for nothing. What must wait for persistence is not
//     here, the core sends it when it hears Persisted.
//  3. apply entries up to `commit` to the machine, in order. The machine may make permanent only
//     what is also durable here: up to min(commit, durable()).
//  4. answer proposed, refused and reads (a read is answered once the machine applied its index).
//  5. step again at `deadline`, or with the next event.
// Spans and entries are valid until the next step.
struct Update {
  struct Proposed {
    uint64_t token;
    EntryId id;
  };
  struct Refused {  // provably not proposed, or a read that cannot be served
    uint64_t token;
    bop_status error;  // NOT_LEADER, OVERLOADED, UNAVAILABLE; UNSUPPORTED: a configuration change;
                       // LOG_FULL, DISK_FULL: so many replicas have no room that no quorum has
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

  PersistMark mark;                             // number 0: nothing to persist
  std::vector<std::span<const Entry>> entries;  // consecutive pieces; may be empty with a mark
  std::vector<Message> messages;
  std::vector<Load> loads;
  std::vector<Proposed> proposed;
  std::vector<Refused> refused;
  std::vector<ReadReady> reads;
  std::vector<Record> records;  // what happened, in order; for people and metrics
  Index commit = 0;
  Index compact = 0;          // every voter has it: the log may be released up to it
  bool role_changed = false;  // role, term or leader
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

  // Takes the events in order, then what is due at `now`. `wall_ns` stamps new entries.
  void step(Instant now, int64_t wall_ns, std::span<const Event> events, Update& update);

  Role role() const;
  Term term() const;
  NodeId leader() const;  // 0: unknown
  Index commit() const;
  Index last() const;
  Index durable() const;
  Index first_cached() const;  // entries from here to last() are in memory
  bool quiesced() const;
  const Configuration& configuration() const;
  // An entry in memory, nullptr when it must be read from the log's files.
  const Entry* entry(Index index) const;
  // Consecutive entries in memory from `first`, up to `last`; may be fewer (it does not wrap).
  std::span<const Entry> entries(Index first, Index last) const;
  // The term of an entry of the log, 0 when it is not in it.
  Term term_at(Index index) const;
  // The machine holds everything up to `index`: entries below it may leave the memory.
  void applied(Index index);

  // Asserts every invariant of raft/invariants.h; on in debug builds after each step.
  void check() const;

 private:
  std::unique_ptr<State> state_;
};

}  // namespace bop::raft

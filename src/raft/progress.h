// What a replica knows about a peer. Apart from id, liveness and votes, only a leader uses it.
//
//                 accepted
//      probing ─────────────► replicating ◄──┐
//       │ ▲                        │ │       │
//       │ └────────────────────────┘ │       │
//       │    refused, or node lost   │       │
//       └────────────► snapshot ◄────┘       │
//   refused, and the log no    └─────────────┘
//   longer has what it lacks     any reply that tells it holds the entry before the log's first
//
// Probing: the leader finds out where the logs agree, with one append at a time. Replicating: it sends
// without waiting, up to a window in bytes and appends. Snapshot: it offers its newest snapshot, and sends heartbeats
// but no entries, however long the peer takes: only the peer knows when it is done.
#pragma once

#include <vector>

#include "base/time.h"
#include "raft/core.h"
#include "raft/queue.h"
#include "raft/types.h"

namespace bop::raft {

struct Progress {
  enum class Stage : uint8_t { probing, replicating, snapshot };
  struct Inflight {
    Index last = 0;
    size_t bytes = 0;
    Instant sent_at = 0;
  };

  NodeId id = 0;
  Votes votes;
  bool voter() const { return votes.any(); }
  bool alive = false;    // liveness hears its node (NodeAlive, NodeLost)
  bool granted = false;  // its (pre-)vote in the current campaign

  Stage stage = Stage::probing;
  bool paused = false;   // probing: a probe is in flight; snapshot: the newest one was offered
  bool matched = false;  // it replied in this term: `match` is known, not assumed
  Index match = 0;       // last entry it holds durably
  Index received = 0;    // last entry it holds at least in memory; match <= received
  Index commit = 0;      // its own commit index
  Index next = 1;        // next entry to send; match < next
  Index probe = 0;       // probing: the entry before the last ones sent
  Queue<Inflight> inflight;
  size_t inflight_bytes = 0;
  // Limit of inflight_bytes: grows while acknowledgements come soon, halves when they come late or appends
  // were lost.
  size_t window_bytes = 0;
  // When `match` last rose, or the oldest append in flight was sent, or stage snapshot began.
  Instant moved_at = 0;
  Instant progress_at = 0;  // when it last lacked no entry, or `received` rose, or bytes reached it
  uint64_t delivered_bytes = 0;  // that reached it since it lacked no entry, or `received` rose

  Index told_commit = 0;      // commit index last sent to it
  uint64_t round = 0;         // highest round it answered in this term
  uint64_t read_request = 0;  // number of its read request that waits for a round; 0: none
  bool quiesced = false;      // it replied that it is quiesced
  LogCapacity log_capacity = LogCapacity::available;
  bool hindered = false;  // it replied that it could not serve as leader
  Instant heard_at =
      0;  // when its latest reply to an append arrived, or replies were first expected
  Instant answered_at = 0;  // when its latest reply to an append arrived

  bool loading = false;       // entries from `next` on are being read from the log's files
  bool load_failed = false;   // do not try again before the next heartbeat
  std::vector<Entry> loaded;  // entries that this step's messages point into
};

}  // namespace bop::raft

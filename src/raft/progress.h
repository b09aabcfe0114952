// What a replica knows of another one. All but the id and the votes matters to a leader only.
//
//                 accepted
//      probing ─────────────► replicating
//         ▲                        │
//         └────────────────────────┘
//            refused, or node lost
//
// Probing finds out where the logs agree, one append at a time. Replicating sends without waiting,
// up to a window in bytes and appends.
#pragma once

#include <vector>

#include "base/time.h"
#include "raft/core.h"
#include "raft/queue.h"
#include "raft/types.h"

namespace bop::raft {

struct Progress {
  enum class Stage : uint8_t { probing, replicating };
  struct Inflight {
    Index last = 0;
    size_t bytes = 0;
    Instant sent_at = 0;
  };

  NodeId id = 0;
  bool voter = false;
  bool alive = false;    // its node is heard (NodeAlive, NodeLost)
  bool granted = false;  // its (pre-)vote in the campaign under way

  Stage stage = Stage::probing;
  bool paused = false;   // probing: the probe is under way
  bool matched = false;  // answered in this term: `match` is known, not assumed
  Index match = 0;       // has it durably
  Index received = 0;    // has it at least in memory; match <= received
  Index commit = 0;      // knows it committed
  Index next = 1;        // to send: match < next
  Index probe = 0;       // probing: the entry before what was last sent
  Queue<Inflight> inflight;
  size_t inflight_bytes = 0;
  // What may be in flight: grows while acknowledgements come soon, halves when they come late or appends
  // are lost.
  size_t window_bytes = 0;
  Instant moved_at = 0;     // when match rose, or the first append went out
  Instant progress_at = 0;  // when it last lacked nothing, or received more of what it lacked

  Index told_commit = 0;  // sent along
  uint64_t round = 0;     // highest it answered in this term
  uint64_t question = 0;  // its read request that waits for a round here; 0: none
  bool quiesced = false;  // it quiesced
  LogCapacity log_capacity = LogCapacity::available;

  bool loading = false;       // entries from `next` on are being read from the log's files
  bool load_failed = false;   // not again before the next heartbeat
  std::vector<Entry> loaded;  // what the messages of this step point into
};

}  // namespace bop::raft

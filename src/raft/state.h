// All that one replica knows. The functions of this module work on it, one file a concern; no
// pointer to it outlives a step.
#pragma once

#include <algorithm>
#include <vector>

#include "base/random.h"
#include "raft/core.h"
#include "raft/log_cache.h"
#include "raft/progress.h"
#include "raft/queue.h"

namespace bop::raft {

// What was emitted to be written, and what came back (persist.cpp).
struct Persists {
  uint64_t number = 0;             // of the latest mark
  Queue<PersistMark> outstanding;  // their index is lowered when the log is truncated below it
  HardState written;               // emitted
  HardState durable_hard;
  Index written_index = 0;  // entries up to it were emitted as they are now
  Index durable = 0;        // and those up to it are durable as they are now
};

// What a follower owes its leader at the end of the step (reply.cpp).
struct Reply {
  bool accepted = false;  // an append wants an answer
  bool refused = false;   // and one could not be accepted:
  EntryId missing;        // we do not have its entry before the first
  uint64_t round = 0;     // highest heard
  uint64_t answered_round = 0;
  Index acknowledged = 0;
};

// PendingReads that wait for proof that the leader still leads (reads.cpp).
struct PendingReads {
  struct Waiting {
    NodeId from = 0;  // self, or the follower that asked
    uint64_t token = 0;
  };
  // Leader: one round under way while the next gathers.
  std::vector<Waiting> gathering;
  std::vector<Waiting> underway;
  uint64_t round = 0;
  Index index = 0;
  // Follower: one question under way while the next gathers.
  std::vector<uint64_t> to_ask;
  std::vector<uint64_t> asked;
  uint64_t question = 0;  // number of the latest; begins at random, see Config::seed
  Instant ask_again_at = never;
  Duration ask_again_after = 0;  // doubles while the leader does not answer
};

struct State {
  State(const Config& config, const Restored& restored, Instant now);

  const Config config;
  const Configuration configuration;
  const bool voter;             // whether we are one
  std::vector<Progress> peers;  // all others of the configuration, by id
  Random random;

  HardState hard;
  Role role;
  NodeId leader = 0;
  LogCache log;
  Index commit;
  Index compact = 0;
  Index applied;
  Term leader_term;  // of the leader whose log ours was last a prefix of
  Persists persists;
  bool healthy = true;

  // Elections.
  Instant heard_at = 0;  // from the leader
  Instant election_at = never;
  Instant campaign_after = 0;     // not before, having resigned
  bool granted_by_self = false;   // our own vote counts: it is durable
  NodeId pending_vote_reply = 0;  // waits for our vote for it to be durable

  // Following.
  Index match = 0;  // our log agrees with this term's leader up to here
  bool quiesced = false;
  LogCapacity log_capacity =
      LogCapacity::available;  // of our log, when the leader last sent entries
  Reply reply;

  // Leading.
  uint64_t round = 0;  // of the latest heartbeat or read; rises as long as this Core lives
  Instant heartbeat_at = never;
  Instant commit_update_at = never;  // followers learn of a commit by then at the latest
  Instant quorum_check_at = never;
  uint64_t quorum_check_round = 0;  // answers to it or later count for the check
  uint64_t quiesce_round = 0;       // first one that told the followers to quiesce, 0: none
  bool all_quiesced = false;        // all of them did
  PendingReads reads;

  // This step.
  Instant now = 0;
  int64_t wall_ns = 0;
  Update* update = nullptr;
  bool heartbeat_due =
      false;               // every peer hears from us in this step, and a lost probe is repeated
  bool round_due = false;  // every peer hears from us in this step, reads wait for it
  bool commit_update_due = false;  // peers hear that commit rose
  std::vector<Index> sorted;       // scratch of the quorum's count

  // For the records.
  bool started = false;  // the first step began
  bool recorded_quiesced = false;
  Term recorded_commit_term = 0;  // whose first commit was recorded
  Index recorded_commit = 0;      // commit when it was last looked at
  Cause wake_cause = Cause::none;

  // For the invariants: what was true after the last step.
  Term checked_term = 0;
  Index checked_commit = 0;

  bool leads() const { return role == Role::leader; }
  size_t quorum() const { return configuration.voters.size() / 2 + 1; }
  Index last() const { return log.last(); }
  Progress* find_peer(NodeId id) {
    for (Progress& peer : peers)
      if (peer.id == id) return &peer;
    return nullptr;
  }
};

// A message to `to`, of our term, for the caller to fill; valid until the next.
Message& send(State& s, NodeId to, MessageKind kind);
// A record of this step, for the caller to fill; valid until the next.
Record& record(State& s, RecordKind kind, Cause cause = Cause::none, NodeId node = 0);

}  // namespace bop::raft

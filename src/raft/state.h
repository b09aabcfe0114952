// The whole state of one replica. This module's functions work on it, one file for each concern; no
// pointer into it outlives a step.
#pragma once

#include <algorithm>
#include <vector>

#include "base/random.h"
#include "raft/configurations.h"
#include "raft/core.h"
#include "raft/log_cache.h"
#include "raft/progress.h"
#include "raft/queue.h"

namespace bop::raft {

// What was emitted to be written, and what completed (persist.cpp).
struct Persists {
  uint64_t number = 0;             // of the latest mark
  Queue<PersistMark> outstanding;  // truncating the log lowers their index
  HardState written;               // last one emitted
  HardState durable_hard;
  Index written_index = 0;  // the log's entries up to it were emitted
  Index durable = 0;        // the log's entries up to it are durable
  EntryId restart;          // to be emitted: see Update::restart
};

// What a follower replies to its leader at the end of the step (reply.cpp).
struct Reply {
  bool accepted = false;  // an append was accepted and has to be answered
  bool refused = false;   // an append was refused because
  EntryId missing;        // this entry, the one before its first, is not in the log
  uint64_t round = 0;     // highest round received
  uint64_t answered_round = 0;
  Index acknowledged = 0;
};

// Linearizable reads that wait for confirmation that the leader still leads (reads.cpp).
struct PendingReads {
  struct Waiting {
    NodeId from = 0;  // this node, or the follower that sent the request
    uint64_t token = 0;
  };
  // Leader: the reads of one round are in progress while the next ones gather.
  std::vector<Waiting> gathering;
  std::vector<Waiting> underway;
  uint64_t round = 0;
  Index index = 0;
  // Follower: one request is in progress while the next reads gather.
  std::vector<uint64_t> to_ask;
  std::vector<uint64_t> asked;
  uint64_t request = 0;  // number of the latest request; the first is random, see Config::seed
  Instant ask_again_at = never;
  Duration ask_again_after = 0;  // doubles with each repetition
};

// The voters of each half that make a majority of it.
struct Majority {
  size_t entered = 0;
  size_t left = 0;  // 0: there is no such half
};

struct State {
  State(const Config& config, const Restored& restored, Instant now);

  const Config config;
  Configurations configurations;
  Votes votes;                         // this node's, in the configuration in force
  std::vector<Progress> peers;         // the other members of the configuration in force, by id
  std::vector<Progress> former_peers;  // that were peers when this step began
  std::vector<NodeId> alive_nodes;     // sorted: nodes that liveness hears, members or not
  Random random;

  HardState hard;
  Role role;
  NodeId leader = 0;
  LogCache log;
  Index commit;
  Index compact = 0;
  Index applied;
  Term leader_term;  // term of the leader whose log this one was last a prefix of
  Persists persists;
  bool healthy = true;
  Cause hindrance = Cause::none;  // as in the latest Hindered

  // Elections.
  Instant heard_at = 0;         // when the leader's last append arrived
  Instant election_at = never;  // when the election timeout ends
  Instant campaign_after = 0;   // no campaign before this time: it resigned or made no progress
  bool deferred =
      false;  // it is hindered, and let the others campaign first since it heard a leader last
  bool granted_by_self = false;   // this node's own vote counts: it is durable
  NodeId pending_vote_reply = 0;  // the candidate whose granted vote is not durable yet; 0: none

  // Following.
  Index match = 0;  // the log agrees with this term's leader up to here
  bool quiesced = false;
  LogCapacity log_capacity =
      LogCapacity::available;  // of this log, when the leader last sent entries
  Reply reply;
  SnapshotRef offered;  // the one last offered by a leader

  // Leading.
  uint64_t round = 0;  // of the latest heartbeat or read; never decreases
  Instant heartbeat_at = never;
  Instant commit_update_at = never;  // when followers are sent a raised commit index at the latest
  uint64_t quiesce_round = 0;        // first round that told the followers to quiesce; 0: none
  bool all_quiesced = false;      // all followers replied that they are quiesced; so is the leader
  Instant handover_ends = never;  // it hands over, and resumes at this time; never: it does not
  NodeId transfer_to = 0;         // that it hands over to because it was asked to; 0: it was not
  Instant handover_after = 0;     // no handover before this time
  SnapshotRef snapshot;           // the newest one that the host can send
  PendingReads reads;

  // This step.
  Instant now = 0;
  int64_t wall_ns = 0;
  Update* update = nullptr;
  bool heartbeat_due = false;  // every peer gets an append in this step; lost probes are repeated
  bool round_due = false;      // every peer gets an append in this step, because reads wait for it
  bool commit_update_due = false;  // peers get the raised commit index in this step
  std::vector<Index> sorted;       // scratch space of reached_by_quorum

  // For the records.
  bool started = false;  // the first step has begun
  bool recorded_quiesced = false;
  Term recorded_commit_term = 0;  // last term whose first commit was recorded
  Index recorded_commit = 0;      // `commit` at the end of the last step
  Cause wake_cause = Cause::none;

  // For the invariants: the values after the last step.
  Term checked_term = 0;
  Index checked_commit = 0;

  bool leads() const { return role == Role::leader; }
  const Configuration& configuration() const { return configurations.in_force(); }
  Majority majority() const {
    const Configuration& c = configuration();
    return {c.voters.size() / 2 + 1, c.joint() ? c.outgoing.size() / 2 + 1 : 0};
  }
  Index last() const { return log.last(); }
  Index before_first() const { return log.terms().before_first().index; }
  Progress* find_peer(NodeId id) {
    for (Progress& peer : peers)
      if (peer.id == id) return &peer;
    return nullptr;
  }
};

// Adds a message to `to` of the current term, for the caller to fill; valid until the next one.
Message& send(State& s, NodeId to, MessageKind kind);
// Adds a record, for the caller to fill; valid until the next one.
Record& record(State& s, RecordKind kind, Cause cause = Cause::none, NodeId node = 0);

}  // namespace bop::raft

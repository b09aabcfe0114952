// The bugs that this module's test variant can carry (base/seeded_bugs.h).
#pragma once

#include "base/seeded_bugs.h"

namespace bop::raft {

// clang-format off
#define BOP_RAFT_BUGS(bug) \
  /* ---- votes and terms ---- */ \
  bug(vote_twice, "votes again in a term", \
      "microsoft/CCF#8094", "") \
  bug(vote_before_durable, "sends a vote before it is durable", \
      "NodeDB-Lab/nodedb#161", "") \
  bug(vote_by_term_only, "compares the durability of a vote by its term alone", \
      "datatechnology/cornerstone#65", "") \
  bug(vote_for_any_log, "grants votes without comparing logs", \
      "eBay/NuRaft#185", "") \
  bug(vote_reply_at_any_time, "counts a vote whatever its own role is by then", \
      "eliben/raft#25", "") \
  bug(forget_vote_of_term, "forgets its vote when it starts to follow a leader of the same term", \
      "etcd-io/etcd#2461", "") \
  bug(forget_vote_on_step_down, "forgets its vote of the term when it stops leading", \
      "hazelcast/hazelcast#16643", "") \
  bug(count_votes_twice, "counts a repeated vote of one peer as that of another", \
      "xnnyygn/xraft#27", "") \
  bug(accept_stale_append, "accepts appends of a leader of an earlier term", \
      "nats-io/nats-server#7209", "") \
  bug(term_not_durable, "accepts entries of a term before that term is durable", \
      "NodeDB-Lab/nodedb#161", "") \
  /* ---- commit ---- */ \
  bug(commit_old_term, "commits entries of earlier terms by counting replicas (paper, section 5.4.2, figure 8)", \
      "goraft/raft#27", "") \
  bug(commit_by_minority, "commits with one acknowledgement too few", \
      "async-raft/async-raft#143", "") \
  bug(commit_own_undurable, "counts the leader's own entries before they are durable", \
      "deventlab/d-engine#329", "") \
  bug(commit_beyond_match, "a follower commits entries that it never verified", \
      "atomix/copycat#265", "") \
  /* ---- members ---- */ \
  bug(commit_by_new_half, "commits in a joint configuration by a majority of the new voters alone", \
      "async-raft/async-raft#62", "") \
  bug(change_before_noop, "changes the members before an entry of its own term is committed", \
      "atomix/copycat#23", "") \
  bug(change_while_pending, "changes the members while another change is not committed", \
      "hashicorp/raft#84", "") \
  bug(leave_uncommitted_joint, "leaves a joint configuration before it is committed", \
      "camunda/camunda#60086", "") \
  bug(keep_truncated_configuration, "keeps the configuration of an entry that was truncated", \
      "camunda/camunda#57393", "") \
  bug(removed_leader_counts, "counts the entries of a leader that does not vote any more", \
      "RedisLabs/raft#13", "") \
  bug(learner_refuses_vote, "refuses its vote because it is no voter by its own configuration", \
      "etcd-io/etcd#10998", "") \
  /* ---- acknowledgements ---- */ \
  bug(ack_before_durable, "acknowledges entries that are only in memory", \
      "lni/dragonboat#360", "") \
  bug(ack_before_match, "acknowledges durable entries not verified against this leader's log", \
      "ravendb/ravendb#9330", "") \
  bug(no_truncate_clamp, "a write in progress acknowledges the entries that replaced its own", \
      "canonical/raft#320", "") \
  bug(no_durable_clamp, "takes entries for durable because those that they replaced were", \
      "rabbitmq/ra#637", "") \
  bug(match_survives_term, "keeps from the previous term how far its log agrees with the leader's", \
      "etcd-io/raft#139", "") \
  bug(leader_keeps_match, "a new leader keeps what its peers acknowledged to it in an earlier term", \
      "atomix/copycat#29", "") \
  bug(keep_conflicting, "does not compare the term of the previous entry", \
      "ktoso/akka-raft#32", "") \
  bug(overwrite_committed, "overwrites committed entries when a leader sends others", \
      "lerna-stack/akka-entity-replication#152", "no correct leader ever sends them: raft core_test") \
  /* ---- snapshots ---- */ \
  bug(keep_tail_on_install, "keeps the log's conflicting entries behind a snapshot that it installs", \
      "hashicorp/raft#697", "the simulator installs no snapshots: raft scenarios") \
  bug(install_moves_back, "adopts a snapshot that it is already past", \
      "hashicorp/raft#248", "the simulator installs no snapshots: raft scenarios") \
  bug(acknowledge_install_early, "acknowledges a snapshot before the restart of its log is durable", \
      "deventlab/d-engine#308", "the simulator installs no snapshots: raft scenarios") \
  bug(discard_late_install, "discards the acknowledgement of an install that took long", \
      "ClickHouse/NuRaft#121", "the simulator installs no snapshots: raft scenarios") \
  bug(leave_snapshot_by_timer, "stops waiting for an install by a timer", \
      "camunda/camunda#14671", "the simulator installs no snapshots: raft scenarios") \
  /* ---- reads ---- */ \
  bug(read_without_quorum, "serves reads without confirming that it still leads", \
      "Hoverbear/old-raft-rs#107", "") \
  bug(read_by_lease, "serves reads while its own clock says that a quorum answered lately", \
      "tikv/tikv#964", "") \
  bug(read_of_current_round, "takes answers to a round that began before the read for its confirmation", \
      "etcd-io/raft#397", "") \
  bug(read_before_noop, "serves reads before an entry of its term is committed", \
      "etcd-io/etcd#7331", "") \
  bug(stale_read_reply, "takes the answer to an earlier read request for that to the current one", \
      "antflydb/antfly#599", "") \
  /* ---- liveness ---- */ \
  bug(quiesce_for_the_lost, "quiesces for a leader whose node is lost", \
      "tikv/tikv#16429", "") \
  bug(lead_without_progress, "goes on leading although its entries reach no quorum", \
      "databendlabs/openraft#2080", "") \
  bug(lead_hindered, "goes on leading although it cannot serve and another voter can", \
      "etcd-io/etcd#3068", "the simulator does not check who should lead: raft scenarios") \
  bug(hand_over_to_hindered, "hands its leadership over to a voter that cannot serve either", \
      "", "the simulator does not check who should lead: raft scenarios") \
  bug(compact_ignores_voters, "compacts the log beyond what every voter holds", \
      "matrixarkai/TemporalStore#260", "")
// clang-format on

BOP_SEEDED_BUGS_OF(BOP_RAFT_BUGS)

}  // namespace bop::raft

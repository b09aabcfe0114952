// The bugs of this variant of the module (base/seeded_bugs.h).
#pragma once

#include "base/seeded_bugs.h"

namespace bop::log {

// clang-format off
#define BOP_LOG_BUGS(bug) \
  /* ---- what is written ---- */ \
  bug(durable_through_too_far, "names a frame durable in its own blocks", \
      "etcd-io/etcd#6378", "") \
  bug(epoch_not_raised, "goes on in the epoch of the process before it", \
      "facebook/rocksdb#880", "") \
  bug(rewriting_loses_vote, "writes the term of a cold group again without its vote", \
      "databendlabs/databend#1051", "") \
  bug(acknowledge_at_submit, "reports an append durable when its write begins", \
      "lni/dragonboat#360", "") \
  bug(acknowledge_next_frame, "reports with a frame also the appends that the next one holds", \
      "", "") \
  bug(hard_state_of_first_append, "keeps the hard state of the first append that a record holds", \
      "", "") \
  /* ---- files ---- */ \
  bug(no_directory_sync, "uses a renamed segment before its directory is synced", \
      "baidu/braft#254", "") \
  bug(release_at_submit, "gives segments away before the frame that says so is durable", \
      "orientechnologies/orientdb#10084", "") \
  bug(release_cold_groups, "gives segments away that only cold groups need", \
      "", "") \
  bug(ignore_write_error, "goes on after a failed write as if it had succeeded", \
      "rostamlabs/rostam#94", "") \
  /* ---- checkpoints ---- */ \
  bug(checkpoints_pin_nothing, "gives segments away that only a checkpoint needs", \
      "", "") \
  bug(partial_checkpoint, "takes the first part of a checkpoint for all of it", \
      "", "one part is enough for the simulator's groups: log_bug") \
  /* ---- recovery ---- */ \
  bug(damage_is_a_tear, "cuts off what it cannot read at the end, acknowledged or not", \
      "camunda/camunda#6098", "") \
  bug(read_without_checksum, "reads entries back without verifying their blocks", \
      "CorfuDB/CorfuDB#2010", "") \
  bug(read_replaced_entries, "reads entries where those that they replaced stood", \
      "databendlabs/openraft#1184", \
      "whoever reads compares terms, or reads only what is committed: log_test, log_bug")
// clang-format on

BOP_SEEDED_BUGS_OF(BOP_LOG_BUGS)

}  // namespace bop::log

// The bugs of this variant of the module (base/seeded_bugs.h).
#pragma once

#include "base/seeded_bugs.h"

namespace bop::machine::kv {

// clang-format off
#define BOP_KV_BUGS(bug) \
  bug(flush_beyond_stable, "makes permanent what this node's log may lose", \
      "etcd-io/etcd#10508", "") \
  bug(durable_before_sync, "reports a flush as durable when it is only committed", \
      "etcd-io/etcd#13967", "") \
  bug(hash_forgets_delete, "leaves a deleted record in the hash", \
      "etcd-io/etcd#5791", "") \
  bug(flush_overtakes_reads, "changes the store under reads that were asked before", \
      "facebook/rocksdb#6973", "") \
  bug(get_skips_immutable, "looks a key up past the memtable that is being flushed", \
      "justrach/turbodb#74", "") \
  bug(range_skips_immutable, "reads a range past the memtable that is being flushed", \
      "scylladb/scylladb#309", "") \
  bug(stored_version_skips_immutable, \
      "looks for the record beneath in the store alone, past the immutable memtable", \
      "", "") \
  bug(checksum_not_verified, "takes a record from the store without verifying its checksum", \
      "etcd-io/etcd#13766", \
      "the simulated store does not decay: kv_bug.checksum_not_verified") \
  bug(totals_not_compared, "opens a store that lacks records", \
      "etcd-io/etcd#14211", \
      "the simulated store does not decay: kv_bug.totals_not_compared") \
  bug(snapshot_reads_live_state, "reads a snapshot from the state that flushes change meanwhile", \
      "libp2p/go-libp2p-raft#69", \
      "no simulated replica takes snapshots yet: kv_bug.snapshot_reads_live_state") \
  bug(snapshot_point_is_late, "names a later entry than the one that its snapshot's state ends with", \
      "redpanda-data/redpanda#23843", \
      "no simulated replica takes snapshots yet: kv_bug.snapshot_point_is_late") \
  bug(restore_not_synced, "completes a restore before what it wrote is durable", \
      "ClickHouse/ClickHouse#111321", \
      "no simulated replica restores snapshots yet: kv_bug.restore_not_synced")
// clang-format on

BOP_SEEDED_BUGS_OF(BOP_KV_BUGS)

}  // namespace bop::machine::kv

// The bugs of this variant of the module (base/seeded_bugs.h).
#pragma once

#include "base/seeded_bugs.h"

namespace bop::machine::kv {

// clang-format off
#define BOP_KV_BUGS(bug) \
  bug(flush_beyond_stable)  /* makes permanent entries that this node's log may still lose */ \
  bug(durable_before_sync)  /* reports a flush as durable when it is only committed */ \
  bug(hash_forgets_delete)  /* leaves a deleted record in the hash */ \
  bug(flush_overtakes_reads) /* changes the store under reads that were submitted before */ \
  bug(stored_version_skips_immutable)    /* looks up stored versions in the store only, not in the immutable memtable */
// clang-format on

BOP_SEEDED_BUGS_OF(BOP_KV_BUGS)

}  // namespace bop::machine::kv

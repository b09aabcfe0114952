// The bugs of this room's variant (base/seeded_bugs.h).
#pragma once

#include "base/seeded_bugs.h"

namespace bop::machine::kv {

// clang-format off
#define BOP_KV_BUGS(bug) \
  bug(fold_beyond_settled)  /* makes permanent what this node's log may lose */ \
  bug(durable_before_sync)  /* tells that a fold is durable when it is only committed */ \
  bug(hash_forgets_delete)  /* leaves a deleted record in the hash */ \
  bug(fold_overtakes_reads) /* changes the store under reads that were asked before */ \
  bug(base_skips_frozen)    /* looks for the record beneath in the store alone, past the frozen layer */
// clang-format on

BOP_SEEDED_BUGS_OF(BOP_KV_BUGS)

}  // namespace bop::machine::kv

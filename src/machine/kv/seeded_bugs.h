// Bugs that a build variant of this room can carry, to prove that the checkers see them. The
// library that ships has none: each place that asks compiles to nothing.
//
// A variant is compiled with -DBOP_SEEDED_BUG=<name> (CMake: bop_kv_variant).
#pragma once

namespace bop::machine::kv {

enum class Bug {
  none,
  fold_beyond_settled,   // makes permanent what this node's log may lose
  durable_before_sync,   // tells that a fold is durable when it is only committed
  hash_forgets_delete,   // leaves a deleted record in the hash
  fold_overtakes_reads,  // changes the store under reads that were asked before
  base_skips_frozen,     // looks for the record beneath in the store alone, past the frozen layer
};

#if !defined(BOP_SEEDED_BUG)
#define BOP_SEEDED_BUG none
#endif

// Never asked for `none`.
constexpr bool seeded(Bug bug) { return bug == Bug::BOP_SEEDED_BUG; }

}  // namespace bop::machine::kv

// Bugs that a build variant of this room can carry, to prove that the checkers see them. The
// library that ships has none: each place that asks compiles to nothing.
//
// A variant is compiled with -DBOP_SEEDED_BUG=<name> (CMake: bop_raft_variant, see README.md).
#pragma once

namespace bop::raft {

enum class Bug {
  none,
  commit_old_term,      // counts replicas of entries of earlier terms (paper, §5.4.2, figure 8)
  commit_by_minority,   // one acknowledgement too few is enough
  commit_beyond_match,  // a follower believes the leader's commit for entries it never verified
  vote_twice,           // forgets that it voted in this term
  vote_before_durable,  // grants a vote that a crash forgets
  vote_for_any_log,     // does not compare logs
  ack_before_durable,   // acknowledges what is only in memory
  ack_before_match,     // acknowledges what is durable, but not verified against this leader's log
  no_truncate_clamp,    // a write that was under way acknowledges what replaced its entries
  keep_conflicting,     // does not compare the term of the entry before
  read_without_quorum,  // serves reads without asking whether it still leads
  read_before_noop,     // serves reads before an entry of its term is committed
};

#if !defined(BOP_SEEDED_BUG)
#define BOP_SEEDED_BUG none
#endif

// Never asked for `none`.
constexpr bool seeded(Bug bug) { return bug == Bug::BOP_SEEDED_BUG; }

}  // namespace bop::raft

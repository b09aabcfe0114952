// The bugs of this variant of the module (base/seeded_bugs.h).
#pragma once

#include "base/seeded_bugs.h"

namespace bop::raft {

// clang-format off
#define BOP_RAFT_BUGS(bug) \
  bug(commit_old_term)     /* counts replicas of entries of earlier terms (paper, §5.4.2, figure 8) */ \
  bug(commit_by_minority)  /* one acknowledgement too few is enough */ \
  bug(commit_beyond_match) /* a follower believes the leader's commit for entries it never verified */ \
  bug(vote_twice)          /* forgets that it voted in this term */ \
  bug(vote_before_durable) /* grants a vote that a crash forgets */ \
  bug(vote_for_any_log)    /* does not compare logs */ \
  bug(ack_before_durable)  /* acknowledges what is only in memory */ \
  bug(ack_before_match)    /* acknowledges what is durable, but not verified against this leader's log */ \
  bug(no_truncate_clamp)   /* a write that was under way acknowledges what replaced its entries */ \
  bug(keep_conflicting)    /* does not compare the term of the entry before */ \
  bug(read_without_quorum) /* serves reads without asking whether it still leads */ \
  bug(read_before_noop)    /* serves reads before an entry of its term is committed */ \
  bug(quiesce_for_the_lost) /* quiesces for a leader whose node is lost */ \
  bug(lead_without_progress) /* leads on although no entry of its own reaches a quorum */
// clang-format on

BOP_SEEDED_BUGS_OF(BOP_RAFT_BUGS)

}  // namespace bop::raft

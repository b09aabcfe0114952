// The bugs that this module's test variant can carry (base/seeded_bugs.h).
#pragma once

#include "base/seeded_bugs.h"

namespace bop::raft {

// clang-format off
#define BOP_RAFT_BUGS(bug) \
  bug(commit_old_term)     /* commits entries of earlier terms by counting replicas (paper, §5.4.2, figure 8) */ \
  bug(commit_by_minority)  /* commits with one acknowledgement too few */ \
  bug(commit_beyond_match) /* a follower commits entries that it never verified */ \
  bug(vote_twice)          /* votes again in a term */ \
  bug(vote_before_durable) /* sends a vote before it is durable */ \
  bug(vote_for_any_log)    /* grants votes without comparing logs */ \
  bug(ack_before_durable)  /* acknowledges entries that are only in memory */ \
  bug(ack_before_match)    /* acknowledges durable entries not verified against this leader's log */ \
  bug(no_truncate_clamp)   /* a write in progress acknowledges the entries that replaced its own */ \
  bug(keep_conflicting)    /* does not compare the term of the previous entry */ \
  bug(read_without_quorum) /* serves reads without confirming that it still leads */ \
  bug(read_before_noop)    /* serves reads before an entry of its term is committed */ \
  bug(quiesce_for_the_lost) /* quiesces for a leader whose node is lost */ \
  bug(lead_without_progress) /* goes on leading although its entries reach no quorum */
// clang-format on

BOP_SEEDED_BUGS_OF(BOP_RAFT_BUGS)

}  // namespace bop::raft

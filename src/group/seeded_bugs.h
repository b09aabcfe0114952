// The bugs of this variant of the module (base/seeded_bugs.h).
#pragma once

#include "base/seeded_bugs.h"

namespace bop::group {

// clang-format off
#define BOP_GROUP_BUGS(bug) \
  bug(answer_when_proposed) /* completes a proposal when the leader has appended it, before it is committed */ \
  bug(wrong_entry_answers)  /* completes a proposal with the outcome of another entry at its index */ \
  bug(read_before_applied)  /* queries the machine before it has applied the read index */ \
  bug(read_without_index)   /* queries the machine without a read index */ \
  bug(forward_twice)        /* sends a forwarded request again after the connection broke */ \
  bug(forget_duplicates)    /* proposes a request again when its frame is duplicated */ \
  bug(stable_beyond_committed) /* lets the machine make permanent entries that this log may still lose */ \
  bug(skip_after_restart)   /* does not apply again entries that the machine had not made durable */
// clang-format on

BOP_SEEDED_BUGS_OF(BOP_GROUP_BUGS)

}  // namespace bop::group

// The bugs of this variant of the module (base/seeded_bugs.h).
#pragma once

#include "base/seeded_bugs.h"

namespace bop::group {

// clang-format off
#define BOP_GROUP_BUGS(bug) \
  bug(answer_when_proposed) /* says OK when the leader has the entry, before it is committed */ \
  bug(wrong_entry_answers)  /* takes what was committed at the index for what was proposed */ \
  bug(read_before_applied)  /* asks the machine before it applied the read's index */ \
  bug(read_without_index)   /* asks the machine without asking the leader */ \
  bug(forward_twice)        /* sends a forwarded request again when the connection broke */ \
  bug(forget_duplicates)    /* proposes a duplicated frame again */ \
  bug(settle_committed)     /* lets the machine make permanent what this node's log may lose */ \
  bug(skip_after_restart)   /* does not apply again what the machine had not made durable */
// clang-format on

BOP_SEEDED_BUGS_OF(BOP_GROUP_BUGS)

}  // namespace bop::group

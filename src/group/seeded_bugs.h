// The bugs of this variant of the module (base/seeded_bugs.h).
#pragma once

#include "base/seeded_bugs.h"

namespace bop::group {

// clang-format off
#define BOP_GROUP_BUGS(bug) \
  /* ---- outcomes ---- */ \
  bug(answer_when_proposed, "answers OK when the leader has the entry, before it is committed", \
      "MartinKalema/horizontal-scaling-convex#100", "") \
  bug(wrong_entry_answers, "takes what was committed at the index for what was proposed", \
      "Hoverbear/old-raft-rs#115", "") \
  bug(unknown_as_unavailable, "reports an unknown outcome as not executed", \
      "databendlabs/openraft#2095", "") \
  bug(fail_when_deposed, "answers what it proposed as not executed when it stops leading", \
      "allengeorge/libraft#5", "") \
  bug(forward_twice, "sends a forwarded request again when the connection broke", \
      "fluree/db#1839", "") \
  bug(forget_duplicates, "proposes a duplicated frame again", \
      "etcd-io/etcd#4691", "") \
  bug(refuse_duplicates, "refuses a duplicate of what it proposed, so that it is proposed elsewhere again", \
      "databendlabs/openraft#2095", "") \
  bug(overtake_undecided, "sends a connection's command to a new leader while an earlier one may still be refused by the old", \
      "", "") \
  /* ---- reads ---- */ \
  bug(read_before_applied, "asks the machine before it applied the read's index", \
      "RedisLabs/redisraft#326", "") \
  bug(read_without_index, "asks the machine without asking the leader", \
      "databendlabs/openraft#157", "") \
  /* ---- what the machine makes permanent, and what the log compacts ---- */ \
  bug(stable_beyond_committed, "lets the machine make permanent all that is in the log", \
      "microsoft/CCF#521", "") \
  bug(stable_not_durable, "lets the machine make permanent what is committed, durable here or not", \
      "etcd-io/etcd#10508", "") \
  bug(stable_not_committed, "lets the machine make permanent what is durable, committed or not", \
      "etcd-io/etcd#7899", "") \
  bug(skip_after_restart, "does not apply again what the machine had not made durable", \
      "MartinKalema/horizontal-scaling-convex#145", "") \
  bug(apply_again_after_restart, "applies the last entry again that the machine has made durable", \
      "etcd-io/etcd#9809", "") \
  bug(compact_ignores_machine, "compacts entries that the machine has not made durable", \
      "Dicklesworthstone/frankensqlite#192", "") \
  /* ---- checkpoints ---- */ \
  bug(compact_ignores_checkpoint, "compacts entries that recovery from its checkpoint needs", \
      "databendlabs/openraft#437", "") \
  bug(third_checkpoint, "writes a checkpoint that replaces the only one which the machine has reached", \
      "lni/dragonboat#156", "") \
  bug(older_checkpoint, "recovers from the older of two checkpoints that the machine has reached", \
      "", "both tell the same until configurations change: group_bug")
// clang-format on

BOP_SEEDED_BUGS_OF(BOP_GROUP_BUGS)

}  // namespace bop::group

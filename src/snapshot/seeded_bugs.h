// The bugs of this variant of the module (base/seeded_bugs.h).
#pragma once

#include "base/seeded_bugs.h"

namespace bop::snapshot {

// clang-format off
#define BOP_SNAPSHOT_BUGS(bug) \
  bug(manifest_before_parts, "publishes a manifest before its parts are durable", \
      "etcd-io/etcd#7876", "") \
  bug(part_not_verified, "publishes a received part without comparing its digest", \
      "", "")
// clang-format on

BOP_SEEDED_BUGS_OF(BOP_SNAPSHOT_BUGS)

}  // namespace bop::snapshot

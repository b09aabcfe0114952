// Limits for the requests of one replica. Beyond them: OVERLOADED; beyond max_request_bytes: TOO_LARGE.
#pragma once

#include <cstddef>

#include "base/time.h"

namespace bop::group {

struct Limits {
  size_t max_open_proposals = 1 << 16;  // a power of two
  size_t max_waiting = 1 << 16;  // of requests that wait for a leader; of sent ones; of reads
  size_t max_request_bytes = 2 << 20;
  size_t checkpoint_bytes = 16 << 20;  // of entries, after which a checkpoint is written
  // A machine without a store of its own: after which of these its next snapshot is taken.
  size_t snapshot_bytes = 64 << 20;  // of entries
  size_t snapshot_entries = 1 << 20;
  Duration snapshot_age = 3600 * seconds;  // of the oldest entry that is not in the newest one
};

}  // namespace bop::group

// Limits for the requests of one replica. Beyond them: OVERLOADED; beyond max_request_bytes: TOO_LARGE.
#pragma once

#include <cstddef>

namespace bop::group {

struct Limits {
  size_t max_open_proposals = 1 << 16;  // a power of two
  size_t max_waiting = 1 << 16;  // of requests that wait for a leader; of sent ones; of reads
  size_t max_request_bytes = 2 << 20;
  size_t checkpoint_bytes = 16 << 20;  // of entries, after which a checkpoint is written
};

}  // namespace bop::group

// What bounds the requests of one replica. Beyond: OVERLOADED, for max_request_bytes TOO_LARGE.
#pragma once

#include <cstddef>

namespace bop::group {

struct Limits {
  size_t max_open_proposals = 1 << 16;  // a power of two
  size_t max_waiting = 1 << 16;         // requests that wait for a leader; reads
  size_t max_request_bytes = 2 << 20;
};

}  // namespace bop::group

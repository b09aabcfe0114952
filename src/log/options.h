// The options of a shard's log, from the node's configuration.
#pragma once

#include <cstdint>

#include "base/time.h"

namespace bop {
class Histogram;
}

namespace bop::log {

struct Options {
  uint64_t segment_bytes = 64u << 20;   // size of a new segment, which is written ahead of its use
  uint64_t max_bytes = 8ull << 30;      // limit of all segments together; beyond it: LOG_FULL
  uint64_t max_frame_bytes = 4u << 20;  // limit of one write; larger appends need several
  // Limit of the bytes that are appended and not durable yet; beyond it: OVERLOADED.
  uint64_t max_gathered_bytes = 64u << 20;
  Duration seal_after = 5 * milliseconds;  // an idle log writes a seal after this time
  bool direct = true;             // bypass the page cache, where the file system supports it
  uint64_t log_id = 0;            // of this directory, drawn by `bopd format`; not 0
  Histogram* write_ns = nullptr;  // of each write, from submission to completion; nullptr: none
  // When the segments in use exceed this, what groups still need of the oldest one is rewritten so that it
  // can be reused. 0: half of max_bytes.
  uint64_t rewrite_above_bytes = 0;
};

}  // namespace bop::log

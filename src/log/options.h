// What the configuration says of a shard's log.
#pragma once

#include <cstdint>

#include "base/time.h"

namespace bop {
class Histogram;
}

namespace bop::log {

struct Options {
  uint64_t segment_bytes = 64u << 20;   // size of a new segment, which is written whole in advance
  uint64_t max_bytes = 8ull << 30;      // limit of all segments together; beyond it: LOG_FULL
  uint64_t max_frame_bytes = 4u << 20;  // limit of one write; what gathers beyond it takes several
  uint64_t max_gathered_bytes = 64u
                                << 20;  // limit of what is not durable yet; beyond it: OVERLOADED
  Duration seal_after = 5 * milliseconds;  // an idle log writes a sealing frame after this time
  bool direct = true;                      // bypass the page cache where the file system can
  uint64_t log_id = 0;                     // of this directory, drawn by `bopd format`; not 0
  Histogram* write_ns = nullptr;           // records each write, from submission to completion
  // When the segments in use exceed this, a cold group's live entries are rewritten so that old segments
  // can be reused. 0: half of max_bytes.
  uint64_t rewrite_above_bytes = 0;
};

}  // namespace bop::log

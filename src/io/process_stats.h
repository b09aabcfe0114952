// Resource usage of this process, for metrics.
#pragma once

#include <cstdint>

namespace bop::io {

struct ProcessStats {
  double cpu_seconds = 0;         // user and system
  double start_time_seconds = 0;  // since 1970
  uint64_t resident_bytes = 0;
  uint64_t virtual_bytes = 0;
  uint64_t open_fds = 0;
  uint64_t max_fds = 0;
  uint64_t threads = 0;
};

// Read from /proc; a value that cannot be read is 0. Takes some tens of microseconds, without device I/O.
ProcessStats read_process_stats();

}  // namespace bop::io

// What the system knows of this process: for metrics.
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

// From /proc; zero where it cannot be read. Some tens of microseconds, and no device is asked.
ProcessStats read_process_stats();

}  // namespace bop::io

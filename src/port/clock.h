// Clocks. The simulator has its own; nothing outside io and sim reads the host's.
#pragma once

#include "base/time.h"

namespace bop::port {

class Clock {
 public:
  virtual ~Clock() = default;
  // Monotonic; cached for a turn of the loop, so cheap and constant within one.
  virtual Instant now() const = 0;
  // Nanoseconds since 1970. May jump; only ever stamped into entries, never compared to decide.
  virtual int64_t wall_ns() const = 0;
};

}  // namespace bop::port

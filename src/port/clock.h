// The clock of a shard. Only `io` reads the host's clock; the simulator has its own.
#pragma once

#include "base/time.h"

namespace bop::port {

class Clock {
 public:
  virtual ~Clock() = default;
  // Monotonic. Read once for each turn of the loop, so it is constant within a turn.
  virtual Instant now() const = 0;
  // Nanoseconds since 1970. May jump: it is only stamped into entries, and no decision depends on it.
  virtual int64_t wall_ns() const = 0;
};

}  // namespace bop::port

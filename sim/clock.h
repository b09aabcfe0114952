// The clocks of one simulated node: a monotonic one that runs at a rate of its own, and a wall clock
// that may also jump.
#pragma once

#include "port/clock.h"
#include "sim/scheduler.h"

namespace bop::sim {

class NodeClock : public port::Clock {
 public:
  // The wall clock of a simulation begins here, so that timestamps look real.
  static constexpr int64_t wall_begins_ns = 1'700'000'000 * seconds;

  // At simulated time 0 this clock shows `shows`; it gains `drift_ppm` microseconds per second.
  NodeClock(const Scheduler& scheduler, Instant shows, int64_t drift_ppm);

  Instant now() const override { return local(scheduler_.now()); }
  int64_t wall_ns() const override;

  // The first instant at which it would show `instant` if it ran at least at its nominal rate from now on.
  Instant earliest(Instant instant) const;
  // Simulated time to this clock's and back: the first instant at which it shows `instant`.
  Instant local(Instant simulated) const;
  Instant simulated(Instant instant) const;

  void jump_wall(Duration by) { wall_offset_ += by; }
  // From now on; what it shows does not jump.
  void set_drift(int64_t drift_ppm);

 private:
  const Scheduler& scheduler_;
  Instant base_simulated_ = 0;
  Instant base_local_;
  int64_t drift_ppm_;
  Duration wall_offset_ = 0;
};

}  // namespace bop::sim

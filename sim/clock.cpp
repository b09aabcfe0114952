#include "sim/clock.h"

#include "base/assert.h"

namespace bop::sim {

namespace {

constexpr int64_t million = 1'000'000;

}  // namespace

NodeClock::NodeClock(const Scheduler& scheduler, Instant shows, int64_t drift_ppm)
    : scheduler_(scheduler), base_local_(shows), drift_ppm_(drift_ppm) {
  BOP_ASSERT_LT(drift_ppm, million);
  BOP_ASSERT_GT(drift_ppm, -million);
}

int64_t NodeClock::wall_ns() const { return wall_begins_ns + now() + wall_offset_; }

Instant NodeClock::local(Instant simulated) const {
  const Duration elapsed = simulated - base_simulated_;
  const auto gained = static_cast<Duration>(static_cast<__int128>(elapsed) * drift_ppm_ / million);
  return base_local_ + elapsed + gained;
}

Instant NodeClock::simulated(Instant instant) const {
  const Duration shown = instant - base_local_;
  auto at = base_simulated_ +
            static_cast<Duration>(static_cast<__int128>(shown) * million / (million + drift_ppm_));
  // Division rounded; a few steps lead to the first instant that shows it.
  while (local(at) >= instant) --at;
  while (local(at) < instant) ++at;
  return at;
}

Instant NodeClock::earliest(Instant instant) const {
  // A small error is not worth a second event.
  if (drift_ppm_ >= -1000) return simulated(instant);
  return scheduler_.now() + (instant - now());
}

void NodeClock::set_drift(int64_t drift_ppm) {
  BOP_ASSERT_LT(drift_ppm, million);
  BOP_ASSERT_GT(drift_ppm, -million);
  base_local_ = now();
  base_simulated_ = scheduler_.now();
  drift_ppm_ = drift_ppm;
}

}  // namespace bop::sim

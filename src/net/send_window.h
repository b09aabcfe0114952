// How many bytes of one connection may be in transit, so that other connections on the same path are not delayed by
// a queue of them: heartbeats must pass a link that is busy with entries.
//
// The window starts small and doubles whenever a window of bytes was delivered while the round trip took little longer
// than the shortest one. A longer round trip reveals a queue; the window is then reduced to what the path carries
// in the shortest round trip and half of `max_delay`, at most once per round trip.
//
// A function of what it is given: it has no clock and no socket.
#pragma once

#include <algorithm>
#include <cstdint>

#include "base/time.h"

namespace bop::net {

class SendWindow {
 public:
  static constexpr uint64_t first_bytes = 64u << 10;
  static constexpr uint64_t smallest_bytes = 32u << 10;
  static constexpr uint64_t largest_bytes = 16u << 20;  // beyond what the system's buffers take

  explicit SendWindow(Duration max_delay) : max_delay_(max_delay) {}

  uint64_t bytes() const { return bytes_; }

  // While bytes wait to be sent. `delivered`: all bytes so far that reached the other host.
  void observe(Instant now, uint64_t delivered, Duration round_trip, Duration shortest) {
    const Duration delay = std::max<Duration>(round_trip - shortest, 0);
    const bool was_idle = now - observed_at_ > max_delay_;
    observed_at_ = now;
    if (was_idle) {
      measure_from(now, delivered);
    } else if (delay > max_delay_) {
      if (now - measured_from_ < round_trip) return;
      const uint64_t carried = (delivered - delivered_before_) *
                               static_cast<uint64_t>(shortest + max_delay_ / 2) /
                               static_cast<uint64_t>(now - measured_from_);
      bytes_ = std::clamp(carried, smallest_bytes, bytes_);
      measure_from(now, delivered);
    } else if (delay <= max_delay_ / 2 && delivered - delivered_before_ >= bytes_) {
      bytes_ = std::min(2 * bytes_, largest_bytes);
      measure_from(now, delivered);
    }
  }

 private:
  void measure_from(Instant now, uint64_t delivered) {
    measured_from_ = now;
    delivered_before_ = delivered;
  }

  const Duration max_delay_;
  uint64_t bytes_ = first_bytes;
  Instant observed_at_ = 0;
  Instant measured_from_ = 0;  // the last change, or the end of an idle time
  uint64_t delivered_before_ = 0;
};

}  // namespace bop::net

#include "net/send_window.h"

#include <gtest/gtest.h>

namespace bop::tests {
namespace {

using net::SendWindow;

constexpr Duration most = 250 * milliseconds;

// A path on which everything else is idle, and a sender that always has bytes.
struct PathModel {
  uint64_t rate = 0;      // bytes a second
  Duration base = 0;      // round trip without a queue
  Duration smoothed = 0;  // as the system measures it: one eighth of what is new

  Duration queue_delay() const {
    return static_cast<Duration>(in_transit * static_cast<uint64_t>(seconds) / rate);
  }
  void run(SendWindow& window, Duration time, Duration step = 5 * milliseconds) {
    for (const Instant end = now + time; now < end; now += step) {
      const auto room = static_cast<uint64_t>(step) * rate / static_cast<uint64_t>(seconds);
      const uint64_t carried = std::min(room, in_transit);
      delivered += carried;
      in_transit -= carried;
      const Duration round_trip = base + queue_delay();
      smoothed = smoothed == 0 ? round_trip : smoothed + (round_trip - smoothed) / 8;
      window.observe(now, delivered, smoothed, base);
      if (window.bytes() > in_transit) in_transit = window.bytes();
      longest = std::max(longest, queue_delay());
    }
  }

  Instant now = 1000 * seconds;
  uint64_t delivered = 0;
  uint64_t in_transit = 0;
  Duration longest = 0;
};

TEST(SendWindow, grows_to_its_largest_on_a_fast_path) {
  SendWindow window(most);
  EXPECT_EQ(window.bytes(), SendWindow::first_bytes);
  PathModel path{.rate = 10'000'000'000, .base = 100 * microseconds};
  path.run(window, 100 * milliseconds);
  EXPECT_EQ(window.bytes(), SendWindow::largest_bytes);
}

TEST(SendWindow, grows_on_a_long_path_that_is_fast) {
  SendWindow window(most);
  PathModel path{.rate = 10'000'000'000, .base = 300 * milliseconds};
  path.run(window, 1 * seconds);
  EXPECT_EQ(window.bytes(), SendWindow::largest_bytes);
}

TEST(SendWindow, keeps_the_queue_short_on_a_slow_path_and_the_path_busy) {
  SendWindow window(most);
  PathModel path{.rate = 400'000, .base = 1 * milliseconds};
  path.run(window, 20 * seconds);
  EXPECT_LE(path.longest, most * 3 / 2);
  EXPECT_GE(path.delivered, 20 * path.rate * 9 / 10);
}

TEST(SendWindow, shrinks_when_the_path_becomes_slow) {
  SendWindow window(most);
  PathModel path{.rate = 100'000'000, .base = 1 * milliseconds};
  path.run(window, 5 * seconds);
  EXPECT_GE(window.bytes(), 8u << 20);
  path.rate = 1'000'000;
  path.run(window, 60 * seconds);  // the queue that was there has to drain
  EXPECT_LE(path.queue_delay(), most * 3 / 2);
  EXPECT_GE(window.bytes(), SendWindow::smallest_bytes);
}

TEST(SendWindow, does_not_count_idle_time_as_a_slow_path) {
  SendWindow window(most);
  PathModel path{.rate = 100'000'000, .base = 1 * milliseconds};
  path.run(window, 1 * seconds);
  const uint64_t before = window.bytes();
  path.in_transit = 0;
  path.now += 60 * seconds;
  window.observe(path.now, path.delivered, most * 2, path.base);  // one late sample
  EXPECT_EQ(window.bytes(), before);
}

}  // namespace
}  // namespace bop::tests

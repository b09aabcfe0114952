// A budget of bytes per second, without a clock: the caller passes the time.
#pragma once

#include <algorithm>
#include <cstdint>

#include "base/assert.h"
#include "base/time.h"

namespace bop::group {

class TokenBucket {
 public:
  // `burst` bytes may be used at once after a pause; one use is at most that large.
  TokenBucket(uint64_t bytes_per_second, uint64_t burst, Instant now)
      : rate_(bytes_per_second), burst_(burst), bytes_(burst), filled_at_(now) {
    BOP_ASSERT_GT(rate_, 0u);
    BOP_ASSERT_GT(burst_, 0u);
  }

  bool take(uint64_t bytes, Instant now) {
    fill(now);
    if (bytes > bytes_) return false;
    bytes_ -= bytes;
    return true;
  }
  void give_back(uint64_t bytes) { bytes_ = std::min(bytes_ + bytes, burst_); }
  // When so many bytes can be taken, if nobody else takes some before. After `now`.
  Instant available_at(uint64_t bytes, Instant now) {
    BOP_ASSERT_LE(bytes, burst_);
    fill(now);
    if (bytes <= bytes_) return now + 1;
    const uint64_t missing = bytes - bytes_;
    return filled_at_ + static_cast<Duration>(missing * second / rate_ + 1);
  }
  void set_rate(uint64_t bytes_per_second, Instant now) {
    fill(now);
    rate_ = std::max<uint64_t>(bytes_per_second, 1);
  }

 private:
  static constexpr uint64_t second = 1'000'000'000;

  // Whole bytes only: what is left of the time counts later.
  void fill(Instant now) {
    if (now <= filled_at_) return;
    const auto passed = static_cast<uint64_t>(now - filled_at_);
    if (passed / second > burst_ / rate_) {  // more than full
      bytes_ = burst_;
      filled_at_ = now;
      return;
    }
    const uint64_t more = passed / second * rate_ + passed % second * rate_ / second;
    if (bytes_ + more >= burst_) {
      bytes_ = burst_;
      filled_at_ = now;
    } else if (more > 0) {
      bytes_ += more;
      filled_at_ += static_cast<Duration>(more * second / rate_);
    }
  }

  uint64_t rate_;
  const uint64_t burst_;
  uint64_t bytes_;
  Instant filled_at_;
};

}  // namespace bop::group

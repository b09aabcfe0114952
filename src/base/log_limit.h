// A rate limit for log lines about one subject: the first lines of a window are logged, the others are
// counted, and one line reports their number. For lines that clients or peers cause, who must not be
// able to fill the log.
#pragma once

#include <cstdint>

#include "base/time.h"

namespace bop {

class LogLimit {
 public:
  explicit LogLimit(uint32_t lines = 10, Duration window = 10 * seconds)
      : lines_(lines), window_(window) {}

  // Whether the line may be logged now. If not, it is counted.
  bool admit(Instant now) {
    if (now >= ends_ && missed_ == 0) {
      ends_ = now + window_;
      logged_ = 0;
    }
    if (logged_ < lines_) {
      ++logged_;
      return true;
    }
    ++missed_;
    return false;
  }

  // Lines were counted and not reported yet.
  bool missed_any() const { return missed_ > 0; }
  // When their number may be logged.
  Instant summary_due() const { return ends_; }
  // Their number, for the caller to log. A new window begins.
  uint64_t take_missed(Instant now) {
    const uint64_t missed = missed_;
    missed_ = 0;
    logged_ = 0;
    ends_ = now + window_;
    return missed;
  }

 private:
  const uint32_t lines_;
  const Duration window_;
  Instant ends_ = 0;
  uint32_t logged_ = 0;
  uint64_t missed_ = 0;
};

}  // namespace bop

// How many lines about one subject are logged: a few at once, then none until the window ends, and
// then how many there were. For what others cause, above all clients, who must not fill the log.
#pragma once

#include <cstdint>

#include "base/time.h"

namespace bop {

class LogLimit {
 public:
  explicit LogLimit(uint32_t lines = 10, Duration window = 10 * seconds)
      : lines_(lines), window_(window) {}

  // Whether the line may be logged. Otherwise it is counted.
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

  // Lines were counted that nobody was told of; summary_due() says when that may be done.
  bool missed_any() const { return missed_ > 0; }
  Instant summary_due() const { return ends_; }
  // How many, which are told of now. A new window begins.
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

// Limits the reads of one connection that are in progress. A reply cannot be stopped once its read has started, so
// only as many reads start as their replies fit into a budget, judged by the size of the latest replies: 16 at first,
// twice as many after each small reply, fewer at once after a large one.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace bop::serve {

class ReadWindow {
 public:
  ReadWindow(size_t budget_bytes, uint32_t most)
      : budget_bytes_(budget_bytes), most_(most), open_(std::min(first, most)) {}

  bool admits() const { return in_flight_ < open_; }
  void begin() { ++in_flight_; }
  void end(size_t reply_bytes) {
    --in_flight_;
    const size_t fits = budget_bytes_ / std::max(reply_bytes, usual_bytes);
    const size_t grown = std::min<size_t>(2 * size_t{open_}, most_);
    open_ = static_cast<uint32_t>(std::clamp<size_t>(fits, 1, grown));
  }

  uint32_t in_flight() const { return in_flight_; }

 private:
  static constexpr uint32_t first = 16;
  static constexpr size_t usual_bytes = 1024;

  const size_t budget_bytes_;
  const uint32_t most_;
  uint32_t open_;
  uint32_t in_flight_ = 0;
};

}  // namespace bop::serve

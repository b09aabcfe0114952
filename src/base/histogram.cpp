#include "base/histogram.h"

#include <algorithm>
#include <cmath>

namespace bop {

uint64_t Histogram::quantile(double fraction) const {
  const uint64_t total = in_buckets();
  if (total == 0) return 0;
  const double wanted = std::ceil(std::clamp(fraction, 0.0, 1.0) * static_cast<double>(total));
  const uint64_t rank = std::max<uint64_t>(1, static_cast<uint64_t>(wanted));
  uint64_t seen = 0;
  for (size_t i = 0; i + 1 < buckets; ++i) {
    seen += counts_[i].load(std::memory_order_relaxed);
    if (seen >= rank) return std::min(upper_end(i), max());
  }
  return max();
}

uint64_t Histogram::at_most(uint64_t limit) const {
  uint64_t total = 0;
  for (size_t i = 0; i + 1 < buckets && upper_end(i) <= limit; ++i) {
    total += counts_[i].load(std::memory_order_relaxed);
  }
  return total;
}

uint64_t Histogram::in_buckets() const {
  uint64_t total = 0;
  for (const auto& count : counts_) total += count.load(std::memory_order_relaxed);
  return total;
}

}  // namespace bop

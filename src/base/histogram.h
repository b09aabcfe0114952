// Histogram: log-linear buckets, 16 for each power of two, so that a value is known to within 1/16 at
// every magnitude. One thread records. Any thread may read at the same time; the counts that it sees
// need not be of one moment.
//
// Bucket b of octave o holds (2^o + b * 2^(o-4), 2^o + (b+1) * 2^(o-4)]: upper bounds are inclusive, as
// in Prometheus. Every value up to 16 has its own bucket, except that 0 and 1 share the first.
#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace bop {

class Histogram {
 public:
  static constexpr int bits = 4;      // 2^bits buckets for each octave
  static constexpr int octaves = 44;  // values from 2^44 on (4.9 h in nanoseconds) share the last
  static constexpr size_t per_octave = size_t{1} << bits;
  static constexpr size_t buckets = (octaves - bits + 1) * per_octave;

  void record(uint64_t value) {
    bump(counts_[bucket_of(value)], 1);
    bump(count_, 1);
    bump(sum_, value);
    if (value > max()) max_.store(value, std::memory_order_relaxed);
  }

  uint64_t count() const { return count_.load(std::memory_order_relaxed); }
  uint64_t sum() const { return sum_.load(std::memory_order_relaxed); }
  uint64_t max() const { return max_.load(std::memory_order_relaxed); }

  // The upper end of the bucket that holds the quantile, or max() if that is lower; 0 when empty.
  // `fraction` is in [0, 1].
  uint64_t quantile(double fraction) const;
  // How many recorded values are at most `limit`; exact when `limit` is a bucket's upper end.
  uint64_t at_most(uint64_t limit) const;
  // The sum of all buckets. It is consistent with at_most(), while count() may differ during a record().
  uint64_t in_buckets() const;

  static size_t bucket_of(uint64_t value) {
    const uint64_t before = value == 0 ? 0 : value - 1;
    if (before < per_octave) return static_cast<size_t>(before);
    const int octave = std::bit_width(before) - 1;
    if (octave >= octaves) return buckets - 1;
    const uint64_t offset = (before >> (octave - bits)) - per_octave;
    return static_cast<size_t>(octave - bits + 1) * per_octave + offset;
  }
  // The largest value of a bucket. The last bucket has no upper end.
  static uint64_t upper_end(size_t bucket) {
    const size_t next = bucket + 1;
    if (next < per_octave) return next;
    const size_t octave = next / per_octave + bits - 1;
    return (per_octave + next % per_octave) << (octave - bits);
  }

 private:
  // One writer: no read-modify-write instruction is needed.
  static void bump(std::atomic<uint64_t>& counter, uint64_t by) {
    counter.store(counter.load(std::memory_order_relaxed) + by, std::memory_order_relaxed);
  }

  std::array<std::atomic<uint64_t>, buckets> counts_{};
  std::atomic<uint64_t> count_ = 0;
  std::atomic<uint64_t> sum_ = 0;
  std::atomic<uint64_t> max_ = 0;
};

}  // namespace bop

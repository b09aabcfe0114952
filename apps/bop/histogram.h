// Latencies in nanoseconds, in log-linear buckets: 32 per power of two, hence a relative error of at most 3 %. One
// thread records; another may copy the counts at the same time.
#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>

class Histogram {
 public:
  static constexpr int bits = 5;
  static constexpr size_t per_octave = size_t{1} << bits;
  static constexpr size_t buckets = (45 - bits) * per_octave;

  void record(uint64_t value) {
    std::atomic<uint64_t>& count = counts_[bucket_of(value)];
    count.store(count.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    if (value > max_.load(std::memory_order_relaxed)) {
      max_.store(value, std::memory_order_relaxed);
    }
  }

  struct Counts {
    std::array<uint64_t, buckets> counts{};
    uint64_t max = 0;

    uint64_t total() const {
      uint64_t total = 0;
      for (const uint64_t count : counts) total += count;
      return total;
    }
    // The upper end of the bucket that has the value of this rank; 0 if nothing was recorded.
    uint64_t quantile(double fraction) const {
      const uint64_t all = total();
      if (all == 0) return 0;
      const auto rank = static_cast<uint64_t>(fraction * static_cast<double>(all - 1)) + 1;
      uint64_t seen = 0;
      for (size_t i = 0; i < buckets; ++i) {
        seen += counts[i];
        if (seen >= rank) return upper_end(i) < max ? upper_end(i) : max;
      }
      return max;
    }
    Counts since(const Counts& before) const {
      Counts out = *this;
      for (size_t i = 0; i < buckets; ++i) out.counts[i] -= before.counts[i];
      return out;
    }
  };
  Counts counts() const {
    Counts out;
    for (size_t i = 0; i < buckets; ++i) {
      out.counts[i] = counts_[i].load(std::memory_order_relaxed);
    }
    out.max = max_.load(std::memory_order_relaxed);
    return out;
  }

  static size_t bucket_of(uint64_t value) {
    if (value < per_octave) return static_cast<size_t>(value);
    const auto octave = static_cast<size_t>(std::bit_width(value) - 1);
    const size_t bucket =
        (octave - bits + 1) * per_octave + ((value >> (octave - bits)) - per_octave);
    return bucket < buckets ? bucket : buckets - 1;
  }
  static uint64_t upper_end(size_t bucket) {
    const size_t next = bucket + 1;
    if (next < per_octave) return next - 1;
    return ((per_octave + next % per_octave) << (next / per_octave - 1)) - 1;
  }

 private:
  std::array<std::atomic<uint64_t>, buckets> counts_{};
  std::atomic<uint64_t> max_ = 0;
};

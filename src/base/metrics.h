// Metrics: counters, gauges and histograms, and their exposition as Prometheus text (version 0.0.4).
//
// A metric has one writing thread (for example a shard's, with the shard in its labels) and any number of
// readers: its updates are relaxed loads and stores, without locks or bus-locked instructions.
// Metrics are made when a module opens, not on the hot path, and live as long as their Registry. There is
// no global registry: the code that wires a node makes one and passes it on.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/histogram.h"

namespace bop::metrics {

class Counter {
 public:
  void add(uint64_t by = 1) {
    value_.store(value_.load(std::memory_order_relaxed) + by, std::memory_order_relaxed);
  }
  // Copies a count that is kept elsewhere; `value` must never fall.
  void follow(uint64_t value) { value_.store(value, std::memory_order_relaxed); }
  uint64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<uint64_t> value_ = 0;
};

class Gauge {
 public:
  void set(int64_t value) { value_.store(value, std::memory_order_relaxed); }
  void add(int64_t by) { set(value() + by); }
  int64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<int64_t> value_ = 0;
};

// How a histogram is exposed: the unit of its recorded integers, and which buckets are shown.
struct Scale {
  double unit = 1;       // shown value = recorded value * unit
  int first_octave = 0;  // a bucket is shown for each power of two from 2^first_octave ...
  int last_octave = 30;  // ... to 2^last_octave
};
// For durations recorded in nanoseconds and shown in seconds, from 1 µs to 17 s.
inline constexpr Scale seconds_of_ns{1e-9, 10, 34};
inline constexpr Scale sizes_in_bytes{1, 6, 24};

using Labels = std::vector<std::pair<std::string, std::string>>;

class Registry {
 public:
  Registry();
  ~Registry();
  Registry(const Registry&) = delete;
  Registry& operator=(const Registry&) = delete;

  // The metric with that name and those labels, made at the first call. All metrics of a name have one
  // type and one help text. Names are [a-zA-Z_:][a-zA-Z0-9_:]*. Any thread.
  Counter& counter(const std::string& name, const std::string& help, const Labels& labels = {});
  Gauge& gauge(const std::string& name, const std::string& help, const Labels& labels = {});
  Histogram& histogram(const std::string& name, const std::string& help, Scale scale,
                       const Labels& labels = {});

  // All metrics, by name, then in the order in which they were made. Any thread.
  std::string text() const;

 private:
  struct Family;
  Family& family(const std::string& name, const std::string& help, std::string_view type);

  mutable std::mutex mutex_;  // guards the families, not the metrics' values
  std::map<std::string, std::unique_ptr<Family>> families_;
};

}  // namespace bop::metrics

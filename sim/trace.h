// The trace: every event of a run flushed into one 64-bit number, in the order they happened. Two runs
// of one seed give the same number; otherwise the simulation is not deterministic, which is itself a
// bug. Only values that the seed determines are included: no pointers, no host time.
#pragma once

#include <cstdint>
#include <cstdio>
#include <functional>
#include <string_view>
#include <utility>

#include "base/time.h"

namespace bop::sim {

class Trace {
 public:
  // `who` is a thread's number, `what` a fixed word, `content` a hash or a number.
  void note(Instant when, uint32_t who, std::string_view what, uint64_t content = 0);
  uint64_t hash() const { return hash_; }
  uint64_t events() const { return events_; }

  // Also writes every event as a line, "12.345678901 3 frame 1f2e...", to a file the caller closes.
  // Comparing two such files finds where runs part.
  void write_to(std::FILE* file) { file_ = file; }
  bool written() const { return file_ != nullptr; }
  // A line for people that does not count as an event.
  void remark(Instant when, std::string_view text);
  void watch_remarks(std::function<void(std::string_view text)> watch) {
    watch_remarks_ = std::move(watch);
  }

 private:
  uint64_t hash_ = 0;
  uint64_t events_ = 0;
  std::FILE* file_ = nullptr;
  std::function<void(std::string_view)> watch_remarks_;
};

}  // namespace bop::sim

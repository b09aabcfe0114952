// The replica's log as the core sees it: the terms of all entries, and the entries themselves from
// first_cached() on, in a ring. What is older stands in the log's files.
//
//   before_first      first_cached          applied prefix     last
//        │  (on disk)       │  (kept for slow   │ (not applied   │
//        │                  │   peers)          │  or committed) │
#pragma once

#include <span>
#include <vector>

#include "raft/core.h"
#include "raft/term_runs.h"

namespace bop::raft {

class LogCache {
 public:
  explicit LogCache(const Restored& restored);

  const TermRuns& terms() const { return terms_; }
  Index last() const { return terms_.last(); }
  Term last_term() const { return terms_.last_term(); }
  Term term_at(Index index) const { return terms_.at(index); }
  Index first_cached() const { return first_cached_; }
  Index applied_prefix() const { return applied_prefix_; }
  int64_t last_time_ns() const { return last_time_ns_; }

  // nullptr: not in memory.
  const Entry* find(Index index) const;
  // Consecutive entries in memory from `first`, up to `last`, as far as the ring does not wrap.
  std::span<const Entry> span(Index first, Index last) const;

  void append(Entry entry);
  // Drops the entries from `index` on, which must lie above the applied prefix.
  void truncate(Index index);
  // Entries up to `index` are committed and applied: they count as cache from now on.
  void set_applied_prefix(Index index);
  // Drops entries of the applied prefix, oldest first and none above `through`, until `bytes` of them are left.
  void evict(Index through, size_t bytes);

  // Cost of the entries in memory of the applied prefix, and of those above it.
  size_t cached_bytes() const { return cached_bytes_; }
  size_t open_bytes() const { return open_bytes_; }

 private:
  Entry& slot(Index index) { return ring_[index & (ring_.size() - 1)]; }
  const Entry& slot(Index index) const { return ring_[index & (ring_.size() - 1)]; }
  void grow();

  TermRuns terms_;
  std::vector<Entry> ring_;  // a power of two, or empty; entry i stands at i modulo its size
  Index first_cached_;
  Index applied_prefix_;
  size_t cached_bytes_ = 0;
  size_t open_bytes_ = 0;
  int64_t last_time_ns_;
};

}  // namespace bop::raft

// The core's view of the replica's log: the terms of all entries, and the entries from first_cached() on
// in a ring. Older entries are in the log's files only.
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

  // nullptr when the entry is not in memory.
  const Entry* find(Index index) const;
  // Consecutive entries in memory from `first`, at most up to `last`; fewer where the ring wraps.
  std::span<const Entry> span(Index first, Index last) const;

  void append(Entry entry);
  // Drops the entries from `index` on, which must lie above the applied prefix.
  void truncate(Index index);
  // The log no longer has the entries up to `through`, which must lie in the applied prefix.
  void compact(Index through);
  // The log is empty and begins after `at`, an entry of that time.
  void restart(EntryId at, int64_t time_ns);
  // Entries up to `index` are committed and applied: they count as cache from now on.
  void set_applied_prefix(Index index);
  // Drops entries of the applied prefix, oldest first and none above `through`, until `bytes` of them are left.
  void evict(Index through, size_t bytes);

  // Cost of the entries in memory of the applied prefix, and of those above it.
  size_t cached_bytes() const { return cached_bytes_; }
  size_t open_bytes() const { return open_bytes_; }

 private:
  void drop_oldest_of_prefix();
  Entry& slot(Index index) { return ring_[index & (ring_.size() - 1)]; }
  const Entry& slot(Index index) const { return ring_[index & (ring_.size() - 1)]; }
  void grow();

  TermRuns terms_;
  std::vector<Entry> ring_;  // its size is a power of two, or 0; entry i is at i modulo the size
  Index first_cached_;
  Index applied_prefix_;
  size_t cached_bytes_ = 0;
  size_t open_bytes_ = 0;
  int64_t last_time_ns_;
};

}  // namespace bop::raft

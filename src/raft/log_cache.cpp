#include "raft/log_cache.h"

#include <algorithm>

#include "base/assert.h"

namespace bop::raft {

LogCache::LogCache(const Restored& restored)
    : terms_(restored.before_first, restored.runs, restored.last),
      first_cached_(restored.last + 1),
      applied_prefix_(restored.commit),
      last_time_ns_(restored.last_time_ns) {}

const Entry* LogCache::find(Index index) const {
  if (index < first_cached_ || index > last()) return nullptr;
  return &slot(index);
}

std::span<const Entry> LogCache::span(Index first, Index last) const {
  last = std::min(last, this->last());
  if (first < first_cached_ || first > last) return {};
  const size_t at = first & (ring_.size() - 1);
  const size_t count = std::min<size_t>(last - first + 1, ring_.size() - at);
  return {ring_.data() + at, count};
}

void LogCache::append(Entry entry) {
  BOP_ASSERT_EQ(entry.index, last() + 1);
  if (last() + 1 - first_cached_ == ring_.size()) grow();
  terms_.append(entry.index, entry.term);
  open_bytes_ += entry.cost();
  last_time_ns_ = std::max(last_time_ns_, entry.time_ns);
  slot(entry.index) = std::move(entry);
}

void LogCache::truncate(Index index) {
  BOP_ASSERT_GT(index, applied_prefix_);
  for (Index i = last(); i >= std::max(index, first_cached_); --i) {
    open_bytes_ -= slot(i).cost();
    slot(i) = {};
  }
  terms_.truncate(index);
  first_cached_ = std::min(first_cached_, last() + 1);
  // If the entry is not in memory the higher time is kept: times must not decrease along the log.
  if (const Entry* entry = find(last())) last_time_ns_ = entry->time_ns;
}

void LogCache::set_applied_prefix(Index index) {
  BOP_ASSERT_LE(index, last());
  for (Index i = std::max(applied_prefix_ + 1, first_cached_); i <= index; ++i) {
    const size_t cost = slot(i).cost();
    open_bytes_ -= cost;
    cached_bytes_ += cost;
  }
  applied_prefix_ = std::max(applied_prefix_, index);
}

void LogCache::evict(Index through, size_t bytes) {
  through = std::min(through, applied_prefix_);
  while (cached_bytes_ > bytes && first_cached_ <= through) drop_oldest_of_prefix();
}

void LogCache::drop_oldest_of_prefix() {
  cached_bytes_ -= slot(first_cached_).cost();
  slot(first_cached_) = {};
  ++first_cached_;
}

void LogCache::compact(Index through) {
  BOP_ASSERT_LE(through, applied_prefix_);
  while (first_cached_ <= through) drop_oldest_of_prefix();
  terms_.compact(through);
}

void LogCache::restart(EntryId at, int64_t time_ns) {
  for (Index i = first_cached_; i <= last(); ++i) slot(i) = {};
  cached_bytes_ = open_bytes_ = 0;
  terms_ = TermRuns(at, {}, at.index);
  first_cached_ = at.index + 1;
  applied_prefix_ = at.index;
  last_time_ns_ = std::max(last_time_ns_, time_ns);
}

void LogCache::grow() {
  std::vector<Entry> larger(ring_.empty() ? 16 : 2 * ring_.size());
  for (Index i = first_cached_; i <= last(); ++i)
    larger[i & (larger.size() - 1)] = std::move(slot(i));
  ring_.swap(larger);
}

}  // namespace bop::raft

#include "log/group_index.h"

#include <algorithm>
#include <map>

#include "base/assert.h"

namespace bop::log {

Term GroupIndex::term_at(Index index) const {
  if (index == before_first_.index) return before_first_.term;
  if (index < before_first_.index || index > last_) return 0;
  const auto after = std::ranges::upper_bound(runs_, index, {}, &raft::TermRun::first);
  BOP_ASSERT(after != runs_.begin());
  return std::prev(after)->term;
}

// ---- locations ----

void GroupIndex::count(const RecordLocation& location) {
  live_bytes_ += location.bytes;
  const uint32_t segment = segment_of(location.frame);
  if (!segments_.empty() && segments_.back().first == segment) {
    ++segments_.back().second;
    return;
  }
  const auto at =
      std::ranges::lower_bound(segments_, segment, {}, &std::pair<uint32_t, size_t>::first);
  if (at != segments_.end() && at->first == segment) {
    ++at->second;
  } else {
    segments_.insert(at, {segment, 1});
  }
}

void GroupIndex::discount(const RecordLocation& location) {
  BOP_ASSERT_GE(live_bytes_, location.bytes);
  live_bytes_ -= location.bytes;
  const uint32_t segment = segment_of(location.frame);
  const auto at =
      std::ranges::lower_bound(segments_, segment, {}, &std::pair<uint32_t, size_t>::first);
  BOP_ASSERT(at != segments_.end() && at->first == segment);
  if (--at->second == 0) segments_.erase(at);
}

GroupIndex::Locations::iterator GroupIndex::erase(Locations::iterator location) {
  discount(*location);
  return locations_.erase(location);
}

void GroupIndex::move(const RecordLocation& location) {
  BOP_ASSERT_GT(location.first, before_first_.index);
  BOP_ASSERT_LE(location.last(), last_);
  auto at = std::ranges::upper_bound(locations_, location.first, {}, &RecordLocation::first);
  BOP_ASSERT(at != locations_.begin());
  --at;
  // What is below in its record is compacted, or was moved before.
  BOP_ASSERT(at->first == location.first || at == locations_.begin());
  while (at != locations_.end() && at->last() <= location.last()) at = erase(at);
  if (at != locations_.end() && at->first <= location.last()) {
    at->count = static_cast<uint32_t>(at->last() - location.last());
    at->first = location.last() + 1;
  }
  locations_.insert(at, location);
  count(location);
}

GroupIndex::Range GroupIndex::first_in(uint32_t segment) const {
  Range out;
  for (const RecordLocation& location : locations_) {
    const bool there = segment_of(location.frame) == segment;
    if (!there && !out.empty()) break;
    if (there && out.empty()) out.first = std::max(location.first, before_first_.index + 1);
    if (there) out.last = location.last();
  }
  return out;
}

uint32_t GroupIndex::needed_segment() const {
  uint32_t lowest = segment_of(last_record);
  if (!segments_.empty()) lowest = std::min(lowest, segments_.front().first);
  if (const Position checkpoint = checkpoints.needs(); checkpoint != 0)
    lowest = std::min(lowest, segment_of(checkpoint));
  return lowest;
}

// ---- entries ----

void GroupIndex::restart(raft::EntryId before_first) {
  before_first_ = before_first;
  last_ = before_first.index;
  runs_.clear();
  locations_.clear();
  segments_.clear();
  live_bytes_ = 0;
}

void GroupIndex::truncate(Index first) {
  BOP_ASSERT_GT(first, before_first_.index);
  if (first > last_) return;
  while (!locations_.empty() && locations_.back().first >= first)
    erase(std::prev(locations_.end()));
  if (!locations_.empty() && locations_.back().last() >= first) {
    locations_.back().count = static_cast<uint32_t>(first - locations_.back().first);
  }
  while (!runs_.empty() && runs_.back().first >= first) runs_.pop_back();
  last_ = first - 1;
}

void GroupIndex::add_location(const RecordLocation& location) {
  BOP_ASSERT_EQ(location.first, last_ + 1);
  BOP_ASSERT_GT(location.count, 0u);
  locations_.push_back(location);
  count(location);
  last_ += location.count;
}

void GroupIndex::extend_last(uint32_t count, uint32_t bytes) {
  BOP_ASSERT(!locations_.empty());
  RecordLocation& location = locations_.back();
  BOP_ASSERT_EQ(location.last(), last_);
  location.count += count;
  location.bytes += bytes;
  live_bytes_ += bytes;
  last_ += count;
}

void GroupIndex::compact(raft::EntryId through) {
  if (through.index <= before_first_.index) return;
  if (through.index >= last_) {
    restart(through);
    return;
  }
  while (!locations_.empty() && locations_.front().last() <= through.index)
    erase(locations_.begin());
  while (runs_.size() > 1 && runs_[1].first <= through.index + 1) runs_.erase(runs_.begin());
  if (!runs_.empty()) runs_.front().first = std::max(runs_.front().first, through.index + 1);
  before_first_ = through;
}

void GroupIndex::check() const {
  BOP_ASSERT_GE(last_, before_first_.index);
  BOP_ASSERT_EQ(locations_.empty(), empty());
  BOP_ASSERT_EQ(runs_.empty(), empty());
  checkpoints.check();
  uint64_t bytes = 0;
  Index next = 0;
  std::map<uint32_t, size_t> segments;
  for (const RecordLocation& location : locations_) {
    BOP_ASSERT_GT(location.count, 0u);
    BOP_ASSERT(next == 0 || location.first == next);
    next = location.last() + 1;
    bytes += location.bytes;
    ++segments[segment_of(location.frame)];
  }
  BOP_ASSERT_EQ(bytes, live_bytes_);
  BOP_ASSERT(std::ranges::equal(segments, segments_, [](const auto& a, const auto& b) {
    return a.first == b.first && a.second == b.second;
  }));
  BOP_ASSERT(locations_.empty() || locations_.front().first <= before_first_.index + 1);
  BOP_ASSERT(locations_.empty() || locations_.back().last() == last_);
  for (size_t i = 1; i < runs_.size(); ++i) BOP_ASSERT_LT(runs_[i - 1].first, runs_[i].first);
  BOP_ASSERT(runs_.empty() || runs_.front().first <= before_first_.index + 1);
  BOP_ASSERT(runs_.empty() || runs_.back().first <= last_);
}

}  // namespace bop::log

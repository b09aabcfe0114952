#include "log/group_index.h"

#include <algorithm>

#include "base/assert.h"

namespace bop::log {

Term GroupIndex::term_at(Index index) const {
  if (index == before_first_.index) return before_first_.term;
  if (index < before_first_.index || index > last_) return 0;
  const auto after = std::ranges::upper_bound(runs_, index, {}, &raft::TermRun::first);
  BOP_ASSERT(after != runs_.begin());
  return std::prev(after)->term;
}

bool GroupIndex::joins(const RecordHeader& header) const {
  return header.first > before_first_.index && header.first <= last_ + 1;
}

bool GroupIndex::agrees(const RecordHeader& header) const {
  BOP_ASSERT(joins(header));
  if (header.count == 0 && header.first != last_ + 1) return false;
  return term_at(header.first - 1) == header.previous_term;
}

void GroupIndex::replace_locations(std::deque<RecordLocation> locations) {
  BOP_ASSERT_EQ(locations.empty(), locations_.empty());
  BOP_ASSERT(locations.empty() || locations.back().last() == last_);
  locations_ = std::move(locations);
  live_bytes_ = 0;
  for (const RecordLocation& location : locations_) live_bytes_ += location.bytes;
}

void GroupIndex::restart(raft::EntryId before_first) {
  before_first_ = before_first;
  last_ = before_first.index;
  runs_.clear();
  locations_.clear();
  live_bytes_ = 0;
}

void GroupIndex::truncate(Index first) {
  BOP_ASSERT_GT(first, before_first_.index);
  if (first > last_) return;
  while (!locations_.empty() && locations_.back().first >= first) {
    BOP_ASSERT_GE(live_bytes_, locations_.back().bytes);
    live_bytes_ -= locations_.back().bytes;
    locations_.pop_back();
  }
  if (!locations_.empty() && locations_.back().last() >= first) {
    locations_.back().count = static_cast<uint32_t>(first - locations_.back().first);
  }
  while (!runs_.empty() && runs_.back().first >= first) runs_.pop_back();
  last_ = first - 1;
}

void GroupIndex::add_location(const RecordLocation& location) {
  BOP_ASSERT_EQ(location.first, last_ + 1);
  BOP_ASSERT_GT(location.count, 0u);
  BOP_ASSERT(locations_.empty() || locations_.back().position() < location.position());
  locations_.push_back(location);
  live_bytes_ += location.bytes;
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
  while (!locations_.empty() && locations_.front().last() <= through.index) {
    BOP_ASSERT_GE(live_bytes_, locations_.front().bytes);
    live_bytes_ -= locations_.front().bytes;
    locations_.pop_front();
  }
  while (runs_.size() > 1 && runs_[1].first <= through.index + 1) runs_.erase(runs_.begin());
  if (!runs_.empty()) runs_.front().first = std::max(runs_.front().first, through.index + 1);
  before_first_ = through;
}

void GroupIndex::add_terms(Bytes entries) {
  EntryReader reader(entries);
  EntryView view;
  while (reader.next(view)) add_term(view.entry.index, view.entry.term);
}

void GroupIndex::apply(const RecordLocation& location, const RecordHeader& header, Bytes entries) {
  hard = header.hard;
  leader_term = header.leader_term;
  last_time_ns = header.last_time_ns;
  last_record = location.position();
  const bool restarts = (header.flags & record_restarts) != 0;
  if (header.kind > RecordKind::summary) return;  // a newer version's
  if (restarts || !joins(header)) restart({header.previous_term, header.first - 1});
  if (header.kind == RecordKind::rewritten) {
    apply_rewritten(location, header, entries);
    return;
  }
  if (header.count == 0) return;
  truncate(header.first);
  add_terms(entries);
  add_location(location);
}

// A copy of entries at a new location. It is ignored while the log still has all the original records.
void GroupIndex::apply_rewritten(const RecordLocation& location, const RecordHeader& header,
                                 Bytes entries) {
  if (header.count == 0 || location.last() <= last_) return;
  truncate(header.first);
  add_terms(entries);
  add_location(location);
}

void GroupIndex::check() const {
  BOP_ASSERT_GE(last_, before_first_.index);
  BOP_ASSERT_EQ(locations_.empty(), empty());
  BOP_ASSERT_EQ(runs_.empty(), empty());
  uint64_t bytes = 0;
  Index next = 0;
  Position behind = 0;
  for (const RecordLocation& location : locations_) {
    BOP_ASSERT_GT(location.count, 0u);
    BOP_ASSERT(next == 0 || location.first == next);
    BOP_ASSERT_GE(location.position(), behind);
    next = location.last() + 1;
    behind = location.position() + 1;
    bytes += location.bytes;
  }
  BOP_ASSERT_EQ(bytes, live_bytes_);
  BOP_ASSERT(locations_.empty() || locations_.front().first <= before_first_.index + 1);
  BOP_ASSERT(locations_.empty() || locations_.back().last() == last_);
  for (size_t i = 1; i < runs_.size(); ++i) BOP_ASSERT_LT(runs_[i - 1].first, runs_[i].first);
  BOP_ASSERT(runs_.empty() || runs_.front().first <= before_first_.index + 1);
  BOP_ASSERT(runs_.empty() || runs_.back().first <= last_);
}

Position GroupIndex::needs() const {
  if (locations_.empty()) return last_record;
  return std::min(locations_.front().position(), last_record);
}

}  // namespace bop::log

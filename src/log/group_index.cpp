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

// The live entries stand at new places, which hold the same entries.
void GroupIndex::replace_places(std::deque<RecordPlace> places) {
  BOP_ASSERT_EQ(places.empty(), places_.empty());
  BOP_ASSERT(places.empty() || places.back().last() == last_);
  places_ = std::move(places);
  live_bytes_ = 0;
  for (const RecordPlace& place : places_) live_bytes_ += place.bytes;
}

void GroupIndex::restart(raft::EntryId before_first) {
  before_first_ = before_first;
  last_ = before_first.index;
  runs_.clear();
  places_.clear();
  live_bytes_ = 0;
}

void GroupIndex::truncate(Index first) {
  BOP_ASSERT_GT(first, before_first_.index);
  if (first > last_) return;
  while (!places_.empty() && places_.back().first >= first) {
    live_bytes_ -= places_.back().bytes;
    places_.pop_back();
  }
  if (!places_.empty() && places_.back().last() >= first) {
    places_.back().count = static_cast<uint32_t>(first - places_.back().first);
  }
  while (!runs_.empty() && runs_.back().first >= first) runs_.pop_back();
  last_ = first - 1;
}

void GroupIndex::add_place(const RecordPlace& place) {
  BOP_ASSERT_EQ(place.first, last_ + 1);
  places_.push_back(place);
  live_bytes_ += place.bytes;
  last_ += place.count;
}

void GroupIndex::extend_last(uint32_t count, uint32_t bytes) {
  RecordPlace& place = places_.back();
  place.count += count;
  place.bytes += bytes;
  live_bytes_ += bytes;
  last_ += count;
}

void GroupIndex::release(raft::EntryId through) {
  if (through.index <= before_first_.index) return;
  if (through.index >= last_) {
    restart(through);
    return;
  }
  while (!places_.empty() && places_.front().last() <= through.index) {
    live_bytes_ -= places_.front().bytes;
    places_.pop_front();
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

void GroupIndex::apply(const RecordPlace& place, const RecordHeader& header, Bytes entries) {
  hard = header.hard;
  leader_term = header.leader_term;
  last_time_ns = header.last_time_ns;
  last_record = place.position();
  const bool restarts = (header.flags & record_restarts) != 0;
  if (restarts || !joins(header)) restart({header.previous_term, header.first - 1});
  if (header.kind == RecordKind::rewritten) {
    apply_rewritten(place, header, entries);
    return;
  }
  if (header.count == 0) return;
  truncate(header.first);
  add_terms(entries);
  add_place(place);
}

// The same entries at a new place. While all their old records are there they are left as they are.
void GroupIndex::apply_rewritten(const RecordPlace& place, const RecordHeader& header,
                                 Bytes entries) {
  if (header.count == 0 || place.last() <= last_) return;
  truncate(header.first);
  add_terms(entries);
  add_place(place);
}

Position GroupIndex::needs() const {
  if (places_.empty()) return last_record;
  return std::min(places_.front().position(), last_record);
}

}  // namespace bop::log

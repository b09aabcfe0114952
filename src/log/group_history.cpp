#include "log/group_history.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"

namespace bop::log {

Term GroupHistory::Stretch::term_at(Index index) const {
  const auto after = std::ranges::upper_bound(runs, index, {}, &raft::TermRun::first);
  BOP_ASSERT(after != runs.begin());
  return std::prev(after)->term;
}

// The stretch that has the entry; nullptr: none has.
const GroupHistory::Stretch* GroupHistory::with(Index index) const {
  auto at = stretches_.upper_bound(index);
  if (at == stretches_.begin()) return nullptr;
  --at;
  return index <= at->second.location.last() ? &at->second : nullptr;
}

Term GroupHistory::term_at(Index index) const {
  if (index == last_.index) return last_.term;
  if (const Stretch* stretch = with(index)) return stretch->term_at(index);
  const auto next = stretches_.find(index + 1);
  return next == stretches_.end() ? 0 : next->second.before;
}

void GroupHistory::restart(raft::EntryId before_first) {
  last_ = before_first;
  stretches_.clear();
  configurations_.clear();
}

bool GroupHistory::agrees(const RecordHeader& header) const {
  const bool checkpoint = header.kind == RecordKind::checkpoint;
  // A record without entries tells where the log ends.
  if (!checkpoint && header.count == 0 && with(header.first) != nullptr) return false;
  const Index before = header.first - 1;
  const Term known = term_at(before);
  return known == 0 || known == header.previous_term;
}

void GroupHistory::cut(Index first, Index last) {
  auto at = stretches_.upper_bound(first);
  if (at != stretches_.begin() && std::prev(at)->second.location.last() >= first) --at;
  while (at != stretches_.end() && at->first <= last) {
    Stretch stretch = std::move(at->second);
    at = stretches_.erase(at);
    const RecordLocation& whole = stretch.location;
    if (whole.last() > last) {
      Stretch above = stretch;
      above.before = stretch.term_at(last);
      above.location.first = last + 1;
      above.location.count = static_cast<uint32_t>(whole.last() - last);
      while (above.runs.size() > 1 && above.runs[1].first <= last + 1)
        above.runs.erase(above.runs.begin());
      above.runs.front().first = last + 1;
      at = std::next(stretches_.emplace(last + 1, std::move(above)).first);
    }
    if (whole.first < first) {
      while (stretch.runs.back().first >= first) stretch.runs.pop_back();
      stretch.location.count = static_cast<uint32_t>(first - whole.first);
      stretches_.emplace(stretch.location.first, std::move(stretch));
    }
  }
}

void GroupHistory::add(const RecordLocation& location, const RecordView& record) {
  Stretch stretch{.location = location, .before = record.header.previous_term, .runs = {}};
  EntryReader reader(record.body);
  EntryView view;
  while (reader.next(view)) {
    if (stretch.runs.empty() || stretch.last_term() != view.entry.term)
      stretch.runs.push_back({view.entry.index, view.entry.term});
  }
  if (location.last() >= last_.index || record.header.kind == RecordKind::entries)
    last_ = {stretch.last_term(), location.last()};
  stretches_.emplace(location.first, std::move(stretch));
  if (record.configures) note_configurations(record);
}

void GroupHistory::note_configurations(const RecordView& record) {
  EntryReader reader(record.body);
  EntryView view;
  while (reader.next(view)) {
    if (view.entry.kind != raft::EntryKind::configuration) continue;
    view.entry.payload = mem::Buffer::copy(view.payload);
    configurations_[view.entry.index] = view.entry;
  }
}

void GroupHistory::apply(const RecordLocation& location, const RecordView& record) {
  const RecordHeader& header = record.header;
  const bool first_record = last_record == 0;
  hard = header.hard;
  leader_term = header.leader_term;
  last_time_ns = header.last_time_ns;
  last_record = location.position();
  if (header.kind > last_known_kind) return;  // a newer version's
  const raft::EntryId before{header.previous_term, header.first - 1};
  if (first_record || (header.flags & record_restarts) != 0) restart(before);
  if (header.kind == RecordKind::checkpoint) {
    // The log reaches its entry at least. A group that compacted everything may have no other record that says so.
    if (before.index > last_.index) last_ = before;
    checkpoints.add(location.position(), header, record.body);
    if ((header.flags & record_restarts) != 0) checkpoints.drop_below(before.index);
    return;
  }
  if (header.count == 0) {
    cut(header.first, UINT64_MAX);
    last_ = before;
    return;
  }
  const bool replaces = header.kind == RecordKind::entries;
  cut(header.first, replaces ? UINT64_MAX : location.last());
  if (replaces)
    configurations_.erase(configurations_.lower_bound(header.first), configurations_.end());
  add(location, record);
}

GroupIndex GroupHistory::index() const {
  GroupIndex out;
  // Down from the last entry to the first gap.
  auto first = stretches_.end();
  Index next = last_.index + 1;
  Term term_after = last_.term;
  while (first != stretches_.begin()) {
    const auto below = std::prev(first);
    const Stretch& stretch = below->second;
    if (stretch.location.last() + 1 != next || stretch.last_term() != term_after) break;
    first = below;
    next = stretch.location.first;
    term_after = stretch.before;
  }
  out.restart({term_after, next - 1});
  for (; first != stretches_.end(); ++first) {
    for (const raft::TermRun& run : first->second.runs) out.add_term(run.first, run.term);
    out.add_location(first->second.location);
  }
  out.hard = hard;
  out.leader_term = leader_term;
  out.last_record = last_record;
  out.last_time_ns = last_time_ns;
  out.checkpoints = checkpoints;
  out.checkpoints.drop_partial();
  return out;
}

std::vector<raft::Entry> GroupHistory::configurations(const GroupIndex& index) const {
  std::vector<raft::Entry> out;
  for (const auto& [at, entry] : configurations_) {
    const bool kept = at > index.before_first().index && at <= index.last();
    if (kept && index.term_at(at) == entry.term) out.push_back(entry);
  }
  return out;
}

}  // namespace bop::log

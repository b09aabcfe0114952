// Rewriting of cold groups: when the log has grown and little of its oldest segment is still needed, the
// entries and hard states of the groups that need it are written again at the head of the log, one group
// after the other. A rewritten record does not change its group; it only makes the old records unneeded.
#include <algorithm>

#include "base/assert.h"
#include "log/seeded_bugs.h"
#include "log/shard_log.h"

namespace bop::log {
namespace {

constexpr Duration try_again_after = 1 * seconds;

}  // namespace

uint64_t ShardLog::rewrite_above() const {
  return options_.rewrite_above_bytes != 0 ? options_.rewrite_above_bytes : options_.max_bytes / 2;
}

void ShardLog::rewrite_if_crowded() {
  if (rewriting_ || latched_ || needed_bytes() <= rewrite_above()) return;
  if (pins_.empty() || first_needed() != pins_.begin()->first) return;  // a gap pins older segments
  const uint32_t oldest = pins_.begin()->first;
  if (oldest >= head_) return;
  const Instant now = ports_.clock.now();
  if (oldest == gave_up_on_ && now < gave_up_until_) return;
  Group* group = coldest_pinning(oldest);
  if (group == nullptr) return give_up(oldest);
  rewriting_ = true;
  if (group->index.empty()) return rewrite(*group, {});
  const GroupId id = group->id;
  const Position last_record = group->index.last_record;
  const Index first = group->index.before_first().index + 1;
  reads_.read(id, first, options_.segment_bytes, [this, id, first, last_record](auto entries) {
    take_for_rewrite(id, first, last_record, std::move(entries));
  });
}

// The group with the lowest id of those that pin the segment; nullptr: together they need too much of it,
// or one of them is suspect and cannot be rewritten.
ShardLog::Group* ShardLog::coldest_pinning(uint32_t segment) {
  uint64_t live = 0;
  Group* lowest = nullptr;
  for (auto& [id, group] : groups_) {
    if (group.pinned != segment) continue;
    live += group.index.live_bytes() + record_header_bytes;
    if (group.health != Health::ok || live > options_.segment_bytes / 4) return nullptr;
    if (lowest == nullptr || id < lowest->id) lowest = &group;
  }
  return lowest;
}

void ShardLog::give_up(uint32_t segment) {
  rewriting_ = false;
  gave_up_on_ = segment;
  gave_up_until_ = ports_.clock.now() + try_again_after;
  // A log that is full may have no write by then that would try again.
  rewrite_timer_->arm(gave_up_until_);
}

void ShardLog::take_for_rewrite(GroupId id, Index first, Position last_record,
                                Result<Entries> entries) {
  Group& group = group_of(id);
  const GroupIndex& index = group.index;
  // A group that appended or compacted meanwhile is not cold.
  const bool same = index.last_record == last_record && index.before_first().index + 1 == first;
  if (!entries || !same || entries->size() != index.last() + 1 - first) {
    return give_up(group.pinned);
  }
  rewrite(group, *entries);
}

void ShardLog::rewrite(Group& group, const Entries& entries) {
  BOP_ASSERT(rewriting_);
  BOP_ASSERT(group.health == Health::ok);
  Append append;
  append.group = group.id;
  append.hard = group.index.hard;
  append.leader_term = group.index.leader_term;
  const std::span<const raft::Entry> piece(entries);
  if (!entries.empty()) append.entries = {&piece, 1};
  // A full log takes no commands, but must rewrite these to release more than they take.
  Demand demand = demand_of(append);
  demand.commands = false;
  if (!admit(demand)) return give_up(group.pinned);

  std::deque<RecordLocation> locations;
  size_t written = 0;
  do {
    written += rewrite_record(group, piece.subspan(written), locations);
  } while (written < entries.size());
  group.index.replace_locations(std::move(locations));
  pin(group);
  rewriting_ = false;
  ++counters_.rewritten;
  submit();
}

// Writes one record with as many of the entries as fit in the frame; returns their number.
size_t ShardLog::rewrite_record(Group& group, std::span<const raft::Entry> entries,
                                std::deque<RecordLocation>& locations) {
  GroupIndex& index = group.index;
  const auto size_of = [](const raft::Entry& entry) {
    return entry_header_bytes + entry.payload.size();
  };
  Gathering& into =
      gathering_for(record_header_bytes + (entries.empty() ? 0 : size_of(entries.front())));
  into.tail_group = nullptr;
  RecordHeader header;
  header.kind = RecordKind::rewritten;
  header.group = group.id;
  header.hard = index.hard;
  if (seeded(Bug::rewriting_loses_vote)) header.hard.vote = 0;
  header.leader_term = index.leader_term;
  header.previous = index.last_record;
  header.first = entries.empty() ? index.last() + 1 : entries.front().index;
  header.previous_term = index.term_at(header.first - 1);
  header.last_time_ns = index.last_time_ns;
  size_t remaining = into.frame.remaining() - record_header_bytes;
  for (const raft::Entry& entry : entries) {
    if (size_of(entry) > remaining) break;
    remaining -= size_of(entry);
    header.bytes += static_cast<uint32_t>(size_of(entry));
    ++header.count;
  }
  BOP_ASSERT(header.count > 0 || entries.empty());  // the first fits: gathering_for saw to it
  const auto offset = static_cast<uint32_t>(into.frame.size());
  uint8_t bytes[record_header_bytes];
  encode(header, bytes);
  into.frame.put(bytes, sizeof bytes);
  for (const raft::Entry& entry : entries.first(header.count)) put_entry_bytes(into.frame, entry);
  if (header.count > 0) {
    locations.push_back({into.frame.position(), offset, header.bytes, header.first, header.count});
  }
  index.last_record = into.frame.position() + offset;
  ++counters_.records;
  return header.count;
}

}  // namespace bop::log

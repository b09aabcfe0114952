// Rewriting: when the log has grown, what groups still need of its oldest segment is written again at the head of the
// log, so that the segment can be used again: entries that a follower lacks, checkpoints, hard states. First the
// groups are asked to let go of what they can. A rewritten record does not change its group; it only makes the old
// records unneeded.
//
//   crowded ──► groups are asked ──► entries are read, a piece at a time ──► written ──► crowded? ──► ...
//                    │ they let go of something                 │ no space, a failed read
//                    └──────────────► wait ◄────────────────────┘
#include <algorithm>

#include "base/assert.h"
#include "log/seeded_bugs.h"
#include "log/shard_log.h"

namespace bop::log {
namespace {

constexpr Duration try_again_after = 1 * seconds;
constexpr Duration ask_again_after = 1 * seconds;
constexpr Duration grace = 100 * milliseconds;  // in which those that were asked let go
constexpr size_t piece_bytes = 1 << 20;

size_t size_of(const raft::Entry& entry) { return entry_header_bytes + entry.payload.size(); }

}  // namespace

uint64_t ShardLog::rewrite_above() const {
  return options_.rewrite_above_bytes != 0 ? options_.rewrite_above_bytes : options_.max_bytes / 2;
}

// Rewriting gains what is not needed of that which is written: whole segments of it. It writes no more than all else
// that the log writes, so that a log which it cannot make shorter is not written again and again.
bool ShardLog::rewriting_pays() const {
  const uint64_t written = needed_bytes() - uint64_t{blocks_left()} * block_bytes;
  return rewrite_budget_ > 0 && live_bytes_ <= written / 4 * 3 &&
         live_bytes_ + 2 * options_.segment_bytes <= written;
}

// What it writes is counted twice, since note_written() adds it to the budget.
void ShardLog::spend_rewriting(uint64_t bytes) {
  rewrite_budget_ -= std::min(rewrite_budget_, 2 * bytes);
}

void ShardLog::rewrite_if_crowded() {
  if (rewriting_ || latched_ || needed_bytes() <= rewrite_above()) return;
  if (pins_.empty() || first_needed() != pins_.begin()->first) return;  // a gap pins older segments
  const uint32_t oldest = pins_.begin()->first;
  const Instant now = ports_.clock.now();
  if (oldest >= head_ || now < rewrite_not_before_ || !rewriting_pays()) return;
  if (ask_to_compact(oldest)) return wait_before_rewriting(now + grace);
  Group* group = first_pinning(oldest);
  if (group == nullptr) return wait_before_rewriting(now + try_again_after);
  const GroupIndex::Range range = group->index.first_in(oldest);
  if (!range.empty()) return read_for_rewrite(*group, range);
  Status rewritten = rewrite_checkpoints(*group, oldest);
  if (rewritten && group->pinned == oldest) rewritten = rewrite(*group, {});
  if (!rewritten) return wait_before_rewriting(now + try_again_after);
  submit();
}

// Whether it is worth waiting for one of them. Not when the log is nearly full.
bool ShardLog::ask_to_compact(uint32_t segment) {
  const Instant now = ports_.clock.now();
  bool any = false;
  const std::set<GroupId> pinning = pins_.begin()->second;  // a group may let go at once
  for (const GroupId id : pinning) {
    Group& group = group_of(id);
    const bool recently = group.asked_at != never && now - group.asked_at < ask_again_after;
    if (group.appender == nullptr || group.pinned != segment || recently) continue;
    group.asked_at = now;
    any |= group.appender->compaction_wanted();
  }
  return any && needed_bytes() <= options_.max_bytes / 4 * 3;
}

// The group with the lowest id of those that pin the segment; nullptr: one of them is not ok, so that the segment stays.
ShardLog::Group* ShardLog::first_pinning(uint32_t segment) {
  const auto pinned = pins_.find(segment);
  if (pinned == pins_.end()) return nullptr;
  for (const GroupId id : pinned->second)
    if (group_of(id).health != Health::ok) return nullptr;
  return &group_of(*pinned->second.begin());
}

void ShardLog::wait_before_rewriting(Instant until) {
  rewriting_ = false;
  rewrite_not_before_ = until;
  // A log that is full may have no write by then that would try again.
  rewrite_timer_->arm(until);
}

void ShardLog::read_for_rewrite(Group& group, GroupIndex::Range range) {
  rewriting_ = true;
  reads_.read(group.id, range.first, piece_bytes, [this, id = group.id, range](auto entries) {
    take_for_rewrite(id, range, std::move(entries));
  });
}

void ShardLog::take_for_rewrite(GroupId id, GroupIndex::Range range, Result<Entries> entries) {
  rewriting_ = false;
  if (latched_) return;
  const Instant now = ports_.clock.now();
  Group& group = group_of(id);
  // Entries that were replaced or compacted meanwhile are left out.
  size_t from = 0, count = 0;
  for (size_t i = 0; entries && i < entries->size(); ++i) {
    const raft::Entry& entry = (*entries)[i];
    if (entry.index <= group.index.before_first().index) {
      ++from;
    } else if (entry.index <= range.last && group.index.term_at(entry.index) == entry.term) {
      ++count;
    } else {
      break;
    }
  }
  const bool read_failed = !entries && entries.error().code != BOP_E_NOT_FOUND &&
                           entries.error().code != BOP_E_UNAVAILABLE;
  if (read_failed) return wait_before_rewriting(now + try_again_after);
  if (count == 0) return rewrite_if_crowded();
  if (!rewrite(group, std::span<const raft::Entry>(*entries).subspan(from, count)))
    return wait_before_rewriting(now + try_again_after);
  submit();
}

// Consecutive entries that are kept, or none: the hard state alone.
Status ShardLog::rewrite(Group& group, std::span<const raft::Entry> entries) {
  BOP_ASSERT(group.health == Health::ok);
  Append append;
  append.group = group.id;
  if (!entries.empty()) append.entries = {&entries, 1};
  // A full log takes no commands, but must rewrite these to release more than they take.
  Demand demand = demand_of(append);
  demand.commands = false;
  BOP_TRY(admit(demand));
  size_t written = 0;
  do {
    written += rewrite_record(group, entries.subspan(written));
  } while (written < entries.size());
  pin(group);
  ++counters_.rewritten;
  return {};
}

// Writes one record with as many of the entries as fit in the frame; returns their number.
size_t ShardLog::rewrite_record(Group& group, std::span<const raft::Entry> entries) {
  GroupIndex& index = group.index;
  Gathering& into =
      gathering_for(record_header_bytes + (entries.empty() ? 0 : size_of(entries.front())));
  into.tail_group = nullptr;
  RecordHeader header = header_for(group, RecordKind::rewritten);
  if (seeded(Bug::rewriting_loses_vote)) header.hard.vote = 0;
  header.first = entries.empty() ? index.last() + 1 : entries.front().index;
  header.previous_term = index.term_at(header.first - 1);
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
  if (header.count > 0)
    index.move({into.frame.position(), offset, header.bytes, header.first, header.count});
  index.last_record = into.frame.position() + offset;
  spend_rewriting(header.bytes);
  ++counters_.records;
  return header.count;
}

Status ShardLog::rewrite_checkpoints(Group& group, uint32_t segment) {
  const std::vector<StoredCheckpoint> kept = group.index.checkpoints.complete();
  for (const StoredCheckpoint& checkpoint : kept) {
    if (segment_of(checkpoint.position) != segment) continue;
    BOP_TRY(admit(demand_of_checkpoint(checkpoint.bytes.size())));
    write_checkpoint(group, checkpoint.at, checkpoint.bytes);
    spend_rewriting(checkpoint.bytes.size() + record_header_bytes);
    ++counters_.rewritten;
  }
  return {};
}

}  // namespace bop::log

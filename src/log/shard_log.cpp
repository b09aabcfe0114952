#include "log/shard_log.h"

#include <algorithm>

#include "base/assert.h"
#include "base/histogram.h"
#include "log/seeded_bugs.h"

namespace bop::log {
namespace {

// A typical turn of small commands: a log that would refuse them counts as full.
constexpr size_t small_bytes = 64u << 10;
constexpr size_t frames_kept = 3;  // frames whose memory is kept for reuse

size_t size_of(const raft::Entry& entry) { return entry_header_bytes + entry.payload.size(); }

uint32_t blocks_for(size_t stream_bytes) {
  return static_cast<uint32_t>((stream_bytes + block_stream_bytes - 1) / block_stream_bytes);
}

uint32_t reserve_for_votes(uint64_t segment_bytes) {
  return static_cast<uint32_t>(std::clamp<uint64_t>(segment_bytes / block_bytes / 16, 4, 256));
}

}  // namespace

// ---- appending ----

ShardLog::Group& ShardLog::group_of(GroupId id) {
  Group& group = groups_[id];
  group.id = id;
  return group;
}

void ShardLog::attach(GroupId id, Appender* appender) {
  Group& group = group_of(id);
  const bool replaces = group.appender != nullptr && group.appender != appender;
  BOP_ASSERT(appender == nullptr || !replaces);  // a group has one at a time
  group.appender = appender;
}

ShardLog::Demand ShardLog::demand_of(const Append& append) {
  Demand demand;
  for (const auto& piece : append.entries) {
    demand.count += piece.size();
    for (const raft::Entry& entry : piece) {
      const size_t size = size_of(entry);
      demand.bytes += size;
      demand.largest = std::max(demand.largest, size);
      // Those of earlier terms were reserved as what the group needs to commit anything.
      demand.commands |= entry.kind == raft::EntryKind::command && entry.term >= append.hard.term;
    }
  }
  return demand;
}

Status ShardLog::check(const Demand& demand) const {
  if (latched_) return std::unexpected(*latched_);
  if (demand.largest > largest_payload() + entry_header_bytes) {
    return fail(BOP_E_TOO_LARGE, "an entry of " + std::to_string(demand.largest) +
                                     " bytes; the limit of this log is " +
                                     std::to_string(largest_payload() + entry_header_bytes));
  }
  const size_t in_open = open_ != nullptr ? open_->frame.size() : 0;
  if (gathered_bytes_ + in_open + demand.bytes > options_.max_gathered_bytes) {
    return fail(BOP_E_OVERLOADED, "too many bytes wait to be written to the log");
  }
  return check_space(demand);
}

// While segments can be made, there is space. Otherwise the existing segments are used up, except for the
// summaries at the end of each and a reserve for votes and entries that are not commands.
Status ShardLog::check_space(const Demand& demand) const {
  if (segments_.obstacle() == BOP_OK) return {};
  // Segments beyond max_bytes take no commands.
  if (demand.commands && segments_.overdrawn()) return fail(segments_.obstacle());
  const uint64_t reserve =
      summary_blocks() + (demand.commands ? reserve_for_votes(head_bytes_) : 0);
  // Up to two blocks more: the append may be split at the end of the current frame and of the segment.
  if (blocks_for(demand.bytes) + 2 + reserve <= space_blocks()) return {};
  return fail(segments_.obstacle());
}

// Elections and restarts use up the reserve of a full log. Until its term is durable a replica replies to no
// leader, and no leader then says what may be released. So what is not a command gets one more segment.
Status ShardLog::admit(const Demand& demand) {
  Status admitted = check(demand);
  if (!admitted && admitted.error().code == BOP_E_LOG_FULL && !demand.commands)
    segments_.overdraw();
  return admitted;
}

// A group may keep as many bytes as are free: one whose entries no follower takes gets about half of the log, several
// of them less each, and there is always space for the groups that release theirs. (Choudhury and Hahne, "Dynamic
// queue length thresholds for shared-memory packet switches", 1998, with a factor of 1.)
bool ShardLog::exceeds_share(const Group& group) const {
  if (live_bytes_ == group.live_bytes) return false;  // it is alone
  // What the segment in use, the summaries and the blocks' headers take cannot hold entries.
  const uint64_t capacity = (options_.max_bytes - options_.segment_bytes) / 8 * 7;
  return group.live_bytes + live_bytes_ > capacity;
}

Status ShardLog::reserve(GroupId id, size_t bytes, bool commands) {
  if (const Group& group = group_of(id); commands && exceeds_share(group)) {
    return fail(BOP_E_LOG_FULL, "the group keeps " + std::to_string(group.live_bytes >> 10) +
                                    " KiB in its shard's log, more than are free");
  }
  const size_t promised = promised_bytes_ + record_header_bytes + bytes;
  BOP_TRY(admit({.bytes = promised, .count = 1, .largest = 0, .commands = commands}));
  promised_bytes_ = promised;
  return {};
}

void ShardLog::flush() {
  promised_bytes_ = 0;
  submit();
}

size_t ShardLog::largest_payload() const {
  return size_t{max_frame_blocks_} * block_stream_bytes - record_header_bytes - entry_header_bytes;
}

Status ShardLog::check_health(const Group& group) {
  if (group.health == Health::suspect) return fail(BOP_E_SUSPECT);
  if (group.health == Health::newer) return fail(BOP_E_NEWER_FORMAT);
  return {};
}

Status ShardLog::append(const Append& append) {
  Group& group = group_of(append.group);
  BOP_TRY(check_health(group));
  BOP_ASSERT_GE(append.hard.term, group.index.hard.term);
  BOP_ASSERT_LE(append.leader_term, append.hard.term);
  const Demand demand = demand_of(append);
  BOP_TRY(admit(demand));
  counters_.entries += demand.count;
  write(group, append);
  return {};
}

// ---- checkpoints ----

// A part fits in a frame, whatever its size.
size_t ShardLog::checkpoint_part_bytes() const {
  return std::min<size_t>(size_t{max_frame_blocks_} * block_stream_bytes - record_header_bytes,
                          64u << 10);
}

ShardLog::Demand ShardLog::demand_of_checkpoint(size_t bytes) const {
  Demand demand;
  demand.count =
      std::max<size_t>(1, (bytes + checkpoint_part_bytes() - 1) / checkpoint_part_bytes());
  demand.bytes = bytes + demand.count * record_header_bytes;
  return demand;
}

Status ShardLog::append_checkpoint(GroupId id, raft::EntryId at, Bytes bytes) {
  Group& group = group_of(id);
  BOP_TRY(admit_checkpoint(group, bytes.size()));
  BOP_ASSERT_GE(at.index, group.index.before_first().index);
  BOP_ASSERT_LE(at.index, group.index.last());
  BOP_ASSERT_EQ(at.term, group.index.term_at(at.index));
  write_checkpoint(group, at, bytes);
  ++counters_.checkpoints;
  submit();
  return {};
}

Status ShardLog::admit_checkpoint(const Group& group, size_t bytes) {
  BOP_TRY(check_health(group));
  if (bytes > max_checkpoint_bytes)
    return fail(BOP_E_TOO_LARGE, "a checkpoint of " + std::to_string(bytes) +
                                     " bytes; the limit is " +
                                     std::to_string(max_checkpoint_bytes));
  return admit(demand_of_checkpoint(bytes));
}

// The old entries are dropped after the record is in its frame, so that no frame that could be durable without it lets go
// of their segments.
Status ShardLog::restart(const Restart& restart) {
  Group& group = group_of(restart.group);
  // Parts before the one that restarts would contradict the old log.
  if (restart.checkpoint.size() > checkpoint_part_bytes())
    return fail(BOP_E_TOO_LARGE, "a checkpoint with which a log restarts has at most " +
                                     std::to_string(checkpoint_part_bytes()) + " bytes");
  BOP_TRY(admit_checkpoint(group, restart.checkpoint.size()));
  BOP_ASSERT_LE(restart.at.term, restart.hard.term);
  GroupIndex& index = group.index;
  index.hard = restart.hard;
  index.leader_term = restart.leader_term;
  index.last_time_ns = std::max(index.last_time_ns, restart.time_ns);
  group.restarts = false;  // this record does
  write_checkpoint(group, restart.at, restart.checkpoint, true);
  index.restart(restart.at);
  index.checkpoints.drop_below(restart.at.index);
  ++group.truncations;
  pin(group);
  ++counters_.checkpoints;
  submit();
  return {};
}

// A header with the group's current state, for a record that changes nothing of it.
RecordHeader ShardLog::header_for(const Group& group, RecordKind kind) const {
  RecordHeader header;
  header.kind = kind;
  header.group = group.id;
  header.hard = group.index.hard;
  header.leader_term = group.index.leader_term;
  header.previous = group.index.last_record;
  header.last_time_ns = group.index.last_time_ns;
  return header;
}

void ShardLog::write_checkpoint(Group& group, raft::EntryId at, Bytes bytes, bool restarts) {
  BOP_ASSERT(!group.restarts);
  GroupIndex& index = group.index;
  const auto parts = static_cast<uint32_t>(demand_of_checkpoint(bytes.size()).count);
  for (uint32_t number = 0; number < parts; ++number) {
    const Bytes part = bytes.first(std::min(bytes.size(), checkpoint_part_bytes()));
    bytes = bytes.subspan(part.size());
    Gathering& into = gathering_for(record_header_bytes + part.size());
    into.tail_group = nullptr;
    RecordHeader header = header_for(group, RecordKind::checkpoint);
    header.bytes = static_cast<uint32_t>(record_header_bytes + part.size());
    header.first = at.index + 1;
    header.previous_term = at.term;
    header.count = encode({.number = number, .of = parts});
    if (restarts) header.flags = record_restarts;
    const Position position = into.frame.position() + into.frame.size();
    uint8_t encoded[record_header_bytes];
    encode(header, encoded);
    into.frame.put(encoded, sizeof encoded);
    into.frame.put(part.data(), part.size());
    index.checkpoints.add(position, header, part);
    index.last_record = position;
    ++counters_.records;
  }
  pin(group);
}

void ShardLog::drop_checkpoints(GroupId id, Index index) {
  Group& group = group_of(id);
  if (group.health != Health::ok) return;
  group.index.checkpoints.drop_below(index);
  pin(group);
  rewrite_if_crowded();
  arm_seal();
}

bool ShardLog::continues_tail(const Group& group, const Append& append, Index first) const {
  return open_ != nullptr && open_->tail_group == &group && !group.restarts &&
         open_->tail.leader_term == append.leader_term && first == group.index.last() + 1;
}

void ShardLog::write(Group& group, const Append& append) {
  Index first = group.index.last() + 1;
  Gathering* into = nullptr;
  for (const auto& piece : append.entries) {
    for (const raft::Entry& entry : piece) {
      if (into == nullptr || into->frame.remaining() < size_of(entry)) {
        if (into != nullptr) close_record(*into);
        const bool goes_on = continues_tail(group, append, entry.index) &&
                             open_->frame.remaining() >= size_of(entry);
        into = goes_on ? open_.get() : &gathering_for(record_header_bytes + size_of(entry));
        if (!goes_on) open_record(*into, group, append, entry.index);
        if (!goes_on || !seeded(Bug::hard_state_of_first_append)) into->tail.hard = append.hard;
      }
      put_entry(*into, group, entry);
    }
  }
  if (into == nullptr) {
    const bool goes_on = continues_tail(group, append, first);
    into = goes_on ? open_.get() : &gathering_for(record_header_bytes);
    if (!goes_on) open_record(*into, group, append, first);
    if (!goes_on || !seeded(Bug::hard_state_of_first_append)) into->tail.hard = append.hard;
  }
  close_record(*into);
  group.index.hard = append.hard;
  group.index.leader_term = append.leader_term;
  add_ack_waiter(*into, group, append.number);
}

void ShardLog::open_record(Gathering& into, Group& group, const Append& append, Index first) {
  GroupIndex& index = group.index;
  BOP_ASSERT_GT(first, index.before_first().index);
  BOP_ASSERT_LE(first, index.last() + 1);
  RecordHeader header;
  header.flags = group.restarts ? record_restarts : 0;
  header.group = group.id;
  header.hard = append.hard;
  header.leader_term = append.leader_term;
  header.previous = index.last_record;
  header.first = first;
  header.previous_term = index.term_at(first - 1);
  if (first <= index.last()) {
    index.truncate(first);
    ++group.truncations;
  }
  group.restarts = false;
  into.tail_group = &group;
  into.tail_offset = static_cast<uint32_t>(into.frame.size());
  into.tail = header;
  index.last_record = into.frame.position() + into.tail_offset;
  uint8_t bytes[record_header_bytes] = {};  // filled in when the record is closed
  into.frame.put(bytes, sizeof bytes);
  ++counters_.records;
}

void ShardLog::put_entry_bytes(Frame& frame, const raft::Entry& entry) {
  uint8_t bytes[entry_header_bytes];
  encode(entry, bytes);
  frame.put(bytes, sizeof bytes);
  frame.put(entry.payload.data(), entry.payload.size());
}

void ShardLog::put_entry(Gathering& into, Group& group, const raft::Entry& entry) {
  BOP_ASSERT_EQ(entry.index, into.tail.first + into.tail.count);
  BOP_ASSERT_LE(entry.term, into.tail.hard.term);
  BOP_ASSERT_GE(entry.term, group.index.term_at(entry.index - 1));
  put_entry_bytes(into.frame, entry);
  ++into.tail.count;
  group.index.last_time_ns = entry.time_ns;
  group.index.add_term(entry.index, entry.term);
}

// Completes the header of the record and updates the group's index, after entries were put.
void ShardLog::close_record(Gathering& into) {
  BOP_ASSERT(into.tail_group != nullptr);
  BOP_ASSERT_LE(into.tail_offset + record_header_bytes, into.frame.size());
  RecordHeader& header = into.tail;
  GroupIndex& index = into.tail_group->index;
  const uint32_t before = header.bytes;
  const bool indexed = before > record_header_bytes;
  header.bytes = static_cast<uint32_t>(into.frame.size() - into.tail_offset);
  header.last_time_ns = index.last_time_ns;
  const Index last = header.first + header.count - 1;
  if (indexed) {
    index.extend_last(static_cast<uint32_t>(last - index.last()), header.bytes - before);
  } else if (header.count > 0) {
    index.add_location(
        {into.frame.position(), into.tail_offset, header.bytes, header.first, header.count});
  }
  uint8_t bytes[record_header_bytes];
  encode(header, bytes);
  into.frame.patch(into.tail_offset, bytes);
  pin(*into.tail_group);
}

void ShardLog::add_ack_waiter(Gathering& in, Group& group, uint64_t number) {
  if (group.ack_waiter_frame == in.frame.number()) {
    in.ack_waiters[group.ack_waiter].number = number;
    return;
  }
  group.ack_waiter_frame = in.frame.number();
  group.ack_waiter = static_cast<uint32_t>(in.ack_waiters.size());
  in.ack_waiters.push_back({&group, number});
}

// ---- frames and segments ----

ShardLog::Gathering& ShardLog::gathering_for(size_t bytes) {
  if (open_ != nullptr && open_->frame.remaining() < bytes) close_open();
  if (open_ == nullptr) open_ = begin(FrameKind::data, bytes);
  return *open_;
}

std::unique_ptr<ShardLog::Gathering> ShardLog::begin(FrameKind kind, size_t bytes) {
  const uint32_t needed = std::max(1u, blocks_for(bytes));
  BOP_ASSERT(open_ == nullptr);
  BOP_ASSERT_LE(needed, max_frame_blocks_);  // check() refuses what is larger
  // A loop: segments that were made with a smaller segment_bytes may all be too small for it.
  while (blocks_left() < needed + summary_blocks()) end_segment();
  const uint32_t left = blocks_left();
  const uint32_t reserve = std::min(summary_blocks(), left - needed);
  auto gathering = take_memory();
  gathering->first_segment = first_needed();
  gathering->frame.begin(kind, next_position_, next_number_++,
                         std::min(max_frame_blocks_, left - reserve), ports_.clock.now());
  return gathering;
}

std::unique_ptr<ShardLog::Gathering> ShardLog::take_memory() {
  if (free_.empty()) return std::make_unique<Gathering>(max_frame_blocks_);
  auto gathering = std::move(free_.back());
  free_.pop_back();
  gathering->ack_waiters.clear();
  gathering->tail_group = nullptr;
  return gathering;
}

void ShardLog::close_open() {
  BOP_ASSERT(open_ != nullptr);
  enqueue(std::move(open_));
}

void ShardLog::enqueue(std::unique_ptr<Gathering> gathering) {
  BOP_ASSERT_EQ(gathering->frame.position(), next_position_);
  BOP_ASSERT_LE(offset_of(next_position_) + uint64_t{gathering->frame.blocks()} * block_bytes,
                head_bytes_);
  next_position_ = gathering->frame.end();
  gathered_bytes_ += gathering->frame.size();
  queue_.push_back(std::move(gathering));
}

// Writes the summary twice, in two frames, each with as many groups as fit.
void ShardLog::end_segment() {
  BOP_ASSERT(open_ == nullptr);
  for (int copies = 2; copies > 0 && blocks_left() > 0; --copies) {
    auto gathering = take_memory();
    const uint32_t share = std::max(1u, blocks_left() / static_cast<uint32_t>(copies));
    gathering->first_segment = first_needed();
    gathering->frame.begin(FrameKind::summary, next_position_, next_number_++,
                           std::min(max_frame_blocks_, share), ports_.clock.now());
    put_summary(gathering->frame);
    enqueue(std::move(gathering));
  }
  enter_segment(head_ + 1);
}

void ShardLog::enter_segment(uint32_t number) {
  BOP_ASSERT_EQ(number, head_ + 1);
  head_ = number;
  const auto segment = segments_.find(number);
  head_bytes_ = segment != nullptr ? segment->size : options_.segment_bytes;
  next_position_ = make_position(number, 0);
  segments_.want(number + 1);
}

void ShardLog::put_summary(Frame& frame) const {
  const auto groups = sorted_groups();
  const size_t fits = (frame.remaining() - record_header_bytes) / summary_item_bytes;
  RecordHeader header;
  header.kind = RecordKind::summary;
  header.count = static_cast<uint32_t>(std::min(groups.size(), fits));
  if (header.count == groups.size() && !recovery_.others_suspect) header.flags = record_complete;
  header.bytes = static_cast<uint32_t>(record_header_bytes + header.count * summary_item_bytes);
  uint8_t bytes[record_header_bytes];
  encode(header, bytes);
  frame.put(bytes, sizeof bytes);
  for (size_t i = 0; i < header.count; ++i) {
    const Group& group = *groups[i];
    const Index last = group.index.last();
    uint8_t item[summary_item_bytes];
    encode({group.id,
            group.index.last_record,
            group.index.hard,
            group.index.before_first().index + 1,
            {group.index.term_at(last), last},
            group.health == Health::suspect,
            group.index.checkpoints.newest()},
           item);
    frame.put(item, sizeof item);
  }
}

// Groups with a record, by id.
std::vector<const ShardLog::Group*> ShardLog::sorted_groups() const {
  std::vector<const Group*> groups;
  for (const auto& [id, group] : groups_) {
    if (group.index.last_record != 0) groups.push_back(&group);
  }
  std::ranges::sort(groups, {}, &Group::id);
  return groups;
}

uint32_t ShardLog::blocks_left() const {
  const uint64_t used = offset_of(open_ != nullptr ? open_->frame.end() : next_position_);
  return static_cast<uint32_t>((head_bytes_ - used) / block_bytes);
}

uint32_t ShardLog::summary_blocks() const {
  const uint64_t most = head_bytes_ / block_bytes / 8;
  const uint64_t one = blocks_for(record_header_bytes + groups_.size() * summary_item_bytes);
  return static_cast<uint32_t>(2 * std::min(one, most));
}

// Blocks that can be written without making a segment.
uint64_t ShardLog::space_blocks() const {
  if (segments_.find(head_) == nullptr) return 0;
  uint64_t blocks = blocks_left();
  for (uint32_t number = head_ + 1;; ++number) {
    const auto segment = segments_.find(number);
    if (segment == nullptr) return blocks;
    blocks += segment->size / block_bytes;
  }
}

// ---- writing ----

void ShardLog::submit() {
  if (writing_ != nullptr || latched_) return;
  if (queue_.empty()) {
    if (open_ == nullptr) return;
    close_open();
  }
  Gathering& next = *queue_.front();
  writing_to_ = segments_.find(segment_of(next.frame.position()));
  if (writing_to_ == nullptr) return;  // submitted when the segment is ready
  writing_ = std::move(queue_.front());
  queue_.pop_front();
  // Frames that may have been acknowledged are never overwritten.
  BOP_ASSERT_GE(writing_->frame.position(), durable_end_);
  BOP_ASSERT_LE(offset_of(writing_->frame.end() - 1), writing_to_->size - 1);
  BOP_ASSERT_GE(next.first_segment, written_first_segment_);
  BOP_ASSERT_LE(next.first_segment, segment_of(writing_->frame.position()));
  BlockHeader common;
  common.log_id = options_.log_id;
  common.durable_through =
      seeded(Bug::durable_through_too_far) ? writing_->frame.end() : durable_end_;
  common.epoch = static_cast<uint32_t>(recovery_.epoch);
  common.first_segment = next.first_segment;
  common.segment_blocks = static_cast<uint32_t>(writing_to_->size / block_bytes);
  const Bytes bytes[] = {writing_->frame.finish(common)};
  submitted_at_ = ports_.clock.now();
  writing_to_->file->write(offset_of(writing_->frame.position()), bytes, *this);
  if (seeded(Bug::release_at_submit)) segments_.release_below(next.first_segment);
  if (seeded(Bug::acknowledge_at_submit)) acknowledge(next);
}

void ShardLog::acknowledge(const Gathering& written) {
  for (const AckWaiter& waiter : written.ack_waiters) {
    if (waiter.group->appender != nullptr) waiter.group->appender->durable(waiter.number);
  }
}

void ShardLog::complete(Result<size_t> result) {
  BOP_ASSERT(writing_ != nullptr);
  std::unique_ptr<Gathering> written = std::move(writing_);
  writing_to_.reset();
  if (options_.write_ns != nullptr)
    options_.write_ns->record(static_cast<uint64_t>(ports_.clock.now() - submitted_at_));
  if (!seeded(Bug::ignore_write_error)) {
    if (!result) return latch(result.error());
    BOP_ASSERT_EQ(*result, size_t{written->frame.blocks()} * block_bytes);
  }
  if (latched_) return;
  note_written(*written);
  submit();
  segments_.release_below(written->first_segment);
  counters_.segments_made = segments_.made();
  acknowledge(*written);
  if (seeded(Bug::acknowledge_next_frame) && writing_ != nullptr) acknowledge(*writing_);
  rewrite_if_crowded();
  arm_seal();
  if (free_.size() < frames_kept) free_.push_back(std::move(written));
#if defined(BOP_SLOW_ASSERTS)
  check();
#endif
}

void ShardLog::note_written(const Gathering& written) {
  const Frame& frame = written.frame;
  BOP_ASSERT_GE(frame.position(), durable_end_);
  durable_end_ = frame.end();
  last_write_ended_ = ports_.clock.now();
  BOP_ASSERT_GE(gathered_bytes_, frame.size());
  BOP_ASSERT_GE(written.first_segment, written_first_segment_);
  gathered_bytes_ -= frame.size();
  sealed_ = frame.kind() == FrameKind::seal;
  written_first_segment_ = written.first_segment;
  ++counters_.writes;
  const uint64_t bytes = uint64_t{frame.blocks()} * block_bytes;
  counters_.written_bytes += bytes;
  rewrite_budget_ = std::min(rewrite_budget_ + bytes, options_.max_bytes);
}

void ShardLog::latch(const Error& error) {
  if (latched_) return;
  latched_ = Error{BOP_E_LATCHED, error.to_string()};
  segments_.stop();
  seal_timer_->cancel();
  rewrite_timer_->cancel();
  std::vector<std::pair<GroupId, Appender*>> attached;
  for (const auto& [id, group] : groups_) {
    if (group.appender != nullptr) attached.emplace_back(id, group.appender);
  }
  std::ranges::sort(attached);
  for (const auto& [id, appender] : attached) appender->latched(*latched_);
}

// Armed once for many writes: when the timer fires too early, it is armed again for the remaining time.
void ShardLog::arm_seal() {
  if (seal_armed_ || latched_) return;
  if (sealed_ && first_needed() <= written_first_segment_) return;
  seal_armed_ = true;
  seal_timer_->arm(last_write_ended_ + options_.seal_after);
}

void ShardLog::seal_if_idle() {
  seal_armed_ = false;
  const bool early = ports_.clock.now() < last_write_ended_ + options_.seal_after;
  if (early || writing_ != nullptr || !nothing_gathered()) return arm_seal();
  if (!may_seal()) return;
  ++counters_.seals;
  enqueue(begin(FrameKind::seal, 0));
  submit();
}

// While no segment can be made, a seal is only worth its block if it releases a segment.
bool ShardLog::may_seal() const {
  if (segments_.obstacle() == BOP_OK) return true;
  return first_needed() > written_first_segment_ && space_blocks() > summary_blocks();
}

bool ShardLog::healthy(Instant now, Duration limit) const {
  if (latched_) return false;
  if (writing_ != nullptr) return now - submitted_at_ <= limit;
  return queue_.empty() || now - queue_.front()->frame.begun() <= limit;
}

Log::Capacity ShardLog::capacity() const {
  Capacity out{.obstacle = segments_.obstacle(),
               .full = false,
               .needed_bytes = needed_bytes(),
               .max_bytes = options_.max_bytes,
               .detail = {}};
  out.full = !check_space({.bytes = small_bytes, .count = 1, .largest = 0, .commands = true});
  if (latched_) {
    out.obstacle = latched_->code;
    out.detail = latched_->detail;
  } else if (segments_.lacks_descriptor()) {
    out.detail =
        "no file descriptor is free for the next segment; raise the limit of open files (ulimit "
        "-n)";
  }
  return out;
}

void ShardLog::set_max_bytes(uint64_t bytes) {
  options_.max_bytes = bytes;
  segments_.set_max_bytes(bytes);
}

bool ShardLog::idle() const {
  if (segments_.busy() || reads_.under_way() > 0) return false;
  return latched_ ? writing_ == nullptr : writing_ == nullptr && nothing_gathered();
}

// ---- which segments are needed ----

void ShardLog::count_live_bytes(Group& group) {
  const uint64_t now = group.index.live_bytes();
  BOP_ASSERT_GE(live_bytes_, group.live_bytes);
  live_bytes_ += now - group.live_bytes;
  group.live_bytes = now;
}

// After each change of the group's index.
void ShardLog::pin(Group& group) {
  count_live_bytes(group);
  const uint32_t needed = group.index.needed_segment();
  if (needed == group.pinned) return;
  if (group.pinned != 0) {
    const auto pinned = pins_.find(group.pinned);
    BOP_ASSERT(pinned != pins_.end());
    pinned->second.erase(group.id);
    if (pinned->second.empty()) pins_.erase(pinned);
  }
  group.pinned = needed;
  if (needed != 0) pins_[needed].insert(group.id);
}

uint32_t ShardLog::first_needed() const {
  uint32_t first = head_;
  if (!pins_.empty())
    first = std::min(
        first, seeded(Bug::release_cold_groups) ? pins_.rbegin()->first : pins_.begin()->first);
  if (gap_segment_ != 0) first = std::min(first, gap_segment_);
  return first;
}

void ShardLog::compact(GroupId id, raft::EntryId through) {
  Group& group = group_of(id);
  if (const Term term = group.index.term_at(through.index); term != 0)
    BOP_ASSERT_EQ(through.term, term);
  if (group.health != Health::ok) return;
  if (through.index > group.index.last()) {
    group.restarts = true;
    ++group.truncations;
  }
  if (open_ != nullptr && open_->tail_group == &group) open_->tail_group = nullptr;
  group.index.compact(through);
  pin(group);
  rewrite_if_crowded();
  arm_seal();
}

const Frame* ShardLog::frame_in_memory(Position position) const {
  if (writing_ != nullptr && writing_->frame.position() == position) return &writing_->frame;
  if (open_ != nullptr && open_->frame.position() == position) return &open_->frame;
  for (const auto& waiting : queue_) {
    if (waiting->frame.position() == position) return &waiting->frame;
  }
  return nullptr;
}

Result<Located> ShardLog::locate(GroupId id, Index index) const {
  const auto found = groups_.find(id);
  if (found == groups_.end()) return fail(BOP_E_NOT_FOUND);
  const Group& group = found->second;
  const auto& locations = group.index.locations();
  const auto after = std::ranges::upper_bound(locations, index, {}, &RecordLocation::first);
  if (after == locations.begin() || index > std::prev(after)->last()) return fail(BOP_E_NOT_FOUND);
  if (index <= group.index.before_first().index) return fail(BOP_E_NOT_FOUND);
  Located located;
  located.location = *std::prev(after);
  located.truncations = group.truncations;
  if (located.location.frame >= durable_end_)
    located.frame = frame_in_memory(located.location.frame);
  if (located.frame != nullptr) return located;
  located.segment = segments_.find(segment_of(located.location.frame));
  if (located.segment == nullptr) {
    return fail(BOP_E_DAMAGED, segments_.path(segment_of(located.location.frame)) + " is missing");
  }
  return located;
}

void ShardLog::read(GroupId group, Index first, size_t max_bytes, EntriesDone done) {
  reads_.read(group, first, max_bytes, std::move(done));
}

}  // namespace bop::log

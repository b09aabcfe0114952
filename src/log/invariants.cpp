// The invariants of a log that is not latched, between any two calls.
#include "base/assert.h"
#include "log/shard_log.h"

namespace bop::log {

// The frames that are not durable yet, in order: the one being written, those in the queue, the one that
// gathers. Each begins where the one before it ends, or at the beginning of a later segment.
void ShardLog::check_frames() const {
  std::vector<const Frame*> frames;
  if (writing_ != nullptr) frames.push_back(&writing_->frame);
  for (const auto& waiting : queue_) frames.push_back(&waiting->frame);
  size_t bytes = 0;
  for (const Frame* frame : frames) bytes += frame->size();
  BOP_ASSERT_EQ(bytes, gathered_bytes_);
  if (open_ != nullptr) frames.push_back(&open_->frame);

  Position end = durable_end_;
  uint64_t number = next_number_ - frames.size();
  for (const Frame* frame : frames) {
    BOP_ASSERT_EQ(frame->number(), number++);
    const Position position = frame->position();
    const bool behind = position == end;
    const bool later_segment = offset_of(position) == 0 && segment_of(position) > segment_of(end);
    BOP_ASSERT(behind || later_segment);
    BOP_ASSERT_EQ(segment_of(frame->end() - 1), segment_of(position));
    end = frame->end();
  }
  if (open_ != nullptr) {
    BOP_ASSERT_EQ(open_->frame.position(), next_position_);
  } else {
    BOP_ASSERT(next_position_ == end || offset_of(next_position_) == 0);
  }
  BOP_ASSERT_EQ(segment_of(next_position_), head_);
  BOP_ASSERT_LE(offset_of(next_position_), head_bytes_);
}

// A segment is pinned once for each group that needs it, and no segment that is needed was released.
void ShardLog::check_pins() const {
  std::map<uint32_t, std::set<GroupId>> pins;
  uint64_t live_bytes = 0;
  for (const Group* group : sorted_groups()) {
    BOP_ASSERT_EQ(group->pinned, group->index.needed_segment());
    BOP_ASSERT_GE(group->pinned, 1u);
    BOP_ASSERT_LE(group->pinned, head_);
    pins[group->pinned].insert(group->id);
    BOP_ASSERT_EQ(group->live_bytes, group->index.live_bytes());
    live_bytes += group->live_bytes;
  }
  BOP_ASSERT(pins == pins_);
  BOP_ASSERT_EQ(live_bytes, live_bytes_);
  BOP_ASSERT_LE(written_first_segment_, first_needed());
  for (const auto& [number, groups] : pins_) {
    // A segment that is still being made is only needed by frames that wait for it.
    BOP_ASSERT(segments_.find(number) != nullptr || number > segment_of(durable_end_) ||
               gap_segment_ != 0);
  }
}

void ShardLog::check() const {
  if (latched_) return;
  check_frames();
  check_pins();
  segments_.check();
  for (const Group* group : sorted_groups()) group->index.check();
}

}  // namespace bop::log

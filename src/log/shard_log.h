// The implementation of Log (log.h). How an append becomes durable:
//
//   append() ─► open_ ──(full, or submitted)──► queue_ ─► writing_ ─► complete() ─► Appender::durable()
//               gathers                          waits     one at a time
//
// A frame's position and number are fixed when it begins to gather, so that records can refer to each other.
// If its segment does not exist yet, that only delays the write.
//
// Which segments are needed: each group pins the segment of the lowest record that it needs. A frame's
// first_segment is the lowest pinned segment at the time when it begins to gather. The records that made
// older segments unneeded are in earlier frames, so they are durable when this frame is.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <unordered_map>
#include <vector>

#include "log/frame.h"
#include "log/group_index.h"
#include "log/log.h"
#include "log/reads.h"
#include "log/rebuild.h"
#include "log/segments.h"

namespace bop::log {

struct LogPorts {
  port::FileSystem& files;
  const port::Clock& clock;
  port::Timers& timers;
  port::Post& post;
};

class ShardLog final : public Log, private port::FileCompletion {
 public:
  static Result<std::unique_ptr<Log>> open(const LogPorts& ports, const std::string& directory,
                                           const Options& options, bool create);

  const Recovery& recovery() const override { return recovery_; }
  void attach(GroupId group, Appender* appender) override;
  Status append(const Append& append) override;
  Status append_checkpoint(GroupId group, raft::EntryId at, Bytes bytes) override;
  Status restart(const Restart& restart) override;
  void flush() override;
  Status reserve(GroupId group, size_t bytes, bool commands) override;
  size_t largest_payload() const override;
  void read(GroupId group, Index first, size_t max_bytes, EntriesDone done) override;
  void compact(GroupId group, raft::EntryId through) override;
  void drop_checkpoints(GroupId group, Index index) override;
  bool healthy(Instant now, Duration limit) const override;
  bool idle() const override;
  uint64_t used_bytes() const override { return segments_.used_bytes(); }
  Capacity capacity() const override;
  void set_max_bytes(uint64_t bytes) override;
  bool crowded() const override { return needed_bytes() > options_.max_bytes / 4; }
  const Counters& counters() const override { return counters_; }
  void check() const override;

 private:
  struct Gathering;

  struct Group {
    GroupId id = 0;
    GroupIndex index;               // of all that was appended, durable or not
    Appender* appender = nullptr;   // nullptr: nobody is attached
    Health health = Health::ok;     // unless ok, its appends are refused, for good
    bool restarts = false;          // its next record must have the flag record_restarts
    uint64_t truncations = 0;       // how often entries were replaced or discarded: see Located
    uint32_t pinned = 0;            // number of the segment that it pins; 0: it has no record
    uint64_t live_bytes = 0;        // of index, as counted in live_bytes_
    Instant asked_at = never;       // when it was last asked to release something; never: not yet
    uint64_t ack_waiter_frame = 0;  // number of the frame whose ack_waiters have this group ...
    uint32_t ack_waiter = 0;        // ... at this index
  };
  // Appender::durable(number) of this group is due when the frame is durable. `number` is that of the
  // group's last append in the frame.
  struct AckWaiter {
    Group* group;
    uint64_t number;
  };
  // A frame from when it begins to gather until it is durable.
  struct Gathering {
    explicit Gathering(uint32_t blocks) : frame(blocks) {}
    Frame frame;
    uint32_t first_segment = 0;  // for its blocks' headers
    std::vector<AckWaiter> ack_waiters;
    // The frame's last record: the next append of the same group may extend it. nullptr: none may be.
    Group* tail_group = nullptr;
    uint32_t tail_offset = 0;  // of that record in the frame's stream
    RecordHeader tail;         // its header, written into the frame by close_record()
  };
  // What an append needs.
  struct Demand {
    size_t bytes = record_header_bytes;  // of the stream, when all is one record
    size_t count = 0;                    // of entries
    size_t largest = 0;                  // bytes of the largest entry, with its header
    bool commands = false;               // one of the entries is a command
  };

  ShardLog(const LogPorts& ports, std::string directory, const Options& options);

  // ---- open.cpp: before it serves ----
  Status recover(bool create);
  Result<std::vector<SegmentFile>> open_files(bool create);
  void take_groups(Rebuild& rebuild);
  Status write_opening(const ScanEnd& end);
  std::unique_ptr<Gathering> make_opening(const ScanEnd& end);
  Status open_without_space(const ScanEnd& end, const Error& why);
  void serve();

  // ---- appending ----
  Group& group_of(GroupId id);
  static Demand demand_of(const Append& append);
  Demand demand_of_checkpoint(size_t bytes) const;
  size_t checkpoint_part_bytes() const;
  static Status check_health(const Group& group);
  Status check(const Demand& demand) const;
  Status check_space(const Demand& demand) const;
  Status admit(const Demand& demand);
  bool exceeds_share(const Group& group) const;
  void write(Group& group, const Append& append);
  void open_record(Gathering& into, Group& group, const Append& append, Index first);
  void put_entry(Gathering& into, Group& group, const raft::Entry& entry);
  static void put_entry_bytes(Frame& frame, const raft::Entry& entry);
  void close_record(Gathering& into);
  void write_checkpoint(Group& group, raft::EntryId at, Bytes bytes, bool restarts = false);
  Status admit_checkpoint(const Group& group, size_t bytes);
  RecordHeader header_for(const Group& group, RecordKind kind) const;
  bool continues_tail(const Group& group, const Append& append, Index first) const;
  void add_ack_waiter(Gathering& in, Group& group, uint64_t number);

  // ---- frames and segments ----
  Gathering& gathering_for(size_t bytes);
  std::unique_ptr<Gathering> begin(FrameKind kind, size_t bytes);
  std::unique_ptr<Gathering> take_memory();
  void close_open();
  void enqueue(std::unique_ptr<Gathering> gathering);
  void end_segment();
  void enter_segment(uint32_t number);
  void put_summary(Frame& frame) const;
  uint32_t blocks_left() const;     // of the current segment, after the frames that are gathered
  uint32_t summary_blocks() const;  // that the summaries at its end need
  uint64_t space_blocks() const;    // that can be written without making a segment

  // ---- writing ----
  void submit();
  void complete(Result<size_t> result) override;
  void acknowledge(const Gathering& written);
  void note_written(const Gathering& written);
  void latch(const Error& error);
  void arm_seal();
  void seal_if_idle();
  bool may_seal() const;
  bool nothing_gathered() const { return open_ == nullptr && queue_.empty(); }

  // ---- rewrite.cpp: what is needed of the oldest segment ----
  uint64_t rewrite_above() const;
  // Size of the segments in use, without those that are made ahead or kept for reuse.
  uint64_t needed_bytes() const {
    return (uint64_t{head_} - first_needed() + 1) * options_.segment_bytes;
  }
  void rewrite_if_crowded();
  bool rewriting_pays() const;
  void spend_rewriting(uint64_t bytes);
  bool ask_to_compact(uint32_t segment);
  Group* first_pinning(uint32_t segment);
  void wait_before_rewriting(Instant until);
  void read_for_rewrite(Group& group, GroupIndex::Range range);
  void take_for_rewrite(GroupId id, GroupIndex::Range range, Result<Entries> entries);
  Status rewrite(Group& group, std::span<const raft::Entry> entries);
  size_t rewrite_record(Group& group, std::span<const raft::Entry> entries);
  Status rewrite_checkpoints(Group& group, uint32_t segment);

  // ---- invariants.cpp ----
  void check_frames() const;
  void check_pins() const;

  // ---- what is needed ----
  void pin(Group& group);
  void count_live_bytes(Group& group);
  uint32_t first_needed() const;
  Result<Located> locate(GroupId id, Index index) const;
  const Frame* frame_in_memory(Position position) const;
  std::vector<const Group*> sorted_groups() const;

  const LogPorts ports_;
  const std::string directory_;
  Options options_;
  Recovery recovery_;
  std::unordered_map<GroupId, Group> groups_;  // never iterated but through sorted_groups()
  Segments segments_;
  Reads reads_;
  Counters counters_;

  // Where the next frame goes.
  uint32_t head_ = 1;           // number of the segment
  uint64_t head_bytes_ = 0;     // size of that segment's file
  Position next_position_ = 0;  // of the frame that gathers, or else of the next one
  uint64_t next_number_ = 1;    // of the next frame that begins to gather
  uint32_t max_frame_blocks_ = 0;

  std::unique_ptr<Gathering> open_;  // gathers; nullptr: none does
  std::deque<std::unique_ptr<Gathering>>
      queue_;                            // complete, in the order in which they are written
  std::unique_ptr<Gathering> writing_;   // the one write in flight; nullptr: none
  std::shared_ptr<Segment> writing_to_;  // its segment
  Instant submitted_at_ = 0;             // when that write was submitted
  std::vector<std::unique_ptr<Gathering>> free_;  // for reuse of their memory
  size_t gathered_bytes_ = 0;                     // bytes of the streams in writing_ and queue_
  size_t promised_bytes_ =
      0;  // by reserve() since the last flush(), whether appended meanwhile or not

  Position durable_end_ = 0;  // all frames below it are on the device
  bool sealed_ =
      false;  // the last frame is a seal, which proves that all frames before it were durable
  Instant last_write_ended_ = 0;
  std::unique_ptr<port::Timer> seal_timer_;
  bool seal_armed_ =
      false;  // the timer is armed; it may fire before the log has been idle long enough

  std::map<uint32_t, std::set<GroupId>> pins_;  // the groups that pin a segment
  uint64_t live_bytes_ = 0;                     // of the records that all groups need
  uint32_t gap_segment_ = 0;  // this segment and later ones are kept because of a gap; 0: no gap
  uint32_t written_first_segment_ = 0;  // first_segment of the last durable frame

  bool rewriting_ = false;          // entries are read for it
  uint64_t rewrite_budget_ = 0;     // bytes that it may write
  Instant rewrite_not_before_ = 0;  // it waits for what was asked for, or did not succeed
  std::unique_ptr<port::Timer> rewrite_timer_;

  std::optional<Error> latched_;
};

}  // namespace bop::log

#include "log/scan.h"

#include <algorithm>
#include <cstring>

#include "log/seeded_bugs.h"
#include "mem/allocate.h"

namespace bop::log {
namespace {

constexpr size_t piece_bytes = 1 << 20;
constexpr uint64_t most_epochs_lost = 1 << 24;

const char* words_of(BlockState state) {
  switch (state) {
    case BlockState::written: return "a block of a frame whose other blocks are missing";
    case BlockState::stale: return "a block of an earlier use of the file";
    case BlockState::never_written: return "a block that was never written";
    case BlockState::mixed: return "a block that was only partly written";
    case BlockState::unsound: return "a block whose checksum does not match";
    case BlockState::unreadable: return "a block that cannot be read";
    case BlockState::foreign: return "a block of another log";
    case BlockState::newer: return "a block of a newer format";
    case BlockState::older: return "a block of an older format, which this version does not read";
  }
  return "?";
}

// The error with which a whole log is refused for one such block; OK: it is not.
bop_status refusal_of(BlockState state) {
  switch (state) {
    case BlockState::foreign: return BOP_E_FOREIGN_DIRECTORY;
    case BlockState::newer: return BOP_E_NEWER_FORMAT;
    case BlockState::older: return BOP_E_OLDER_FORMAT;
    default: return BOP_OK;
  }
}

}  // namespace

Result<SegmentFile> open_segment(port::FileSystem& files, const std::string& path, uint32_t number,
                                 port::FileOptions options) {
  SegmentFile segment;
  segment.number = number;
  BOP_TRY_ASSIGN(segment.file, files.open_now(path, options));
  BOP_TRY_ASSIGN(segment.size, segment.file->size());
  // A segment is read into memory as a whole, so its size needs a limit.
  if (segment.size > max_segment_bytes) {
    return fail(BOP_E_DAMAGED, files.describe(path) + ": the file is larger than a segment can be");
  }
  return segment;
}

class Scanner::Memory {
 public:
  explicit Memory(size_t bytes)
      : bytes_(bytes), data_(static_cast<uint8_t*>(mem::allocate_aligned(bytes, block_bytes))) {}
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;
  ~Memory() { mem::release(data_); }

  size_t size() const { return bytes_; }
  std::span<uint8_t> span(size_t offset, size_t size) { return {data_ + offset, size}; }
  Bytes block(uint32_t at) const { return {data_ + size_t{at} * block_bytes, block_bytes}; }

 private:
  const size_t bytes_;
  uint8_t* const data_;
};

// The blocks since the last whole frame.
struct Scanner::Gap {
  Position begin = 0;
  bool any = false;                                 // there is a block ...
  BlockState begin_state = BlockState::unreadable;  // ... and this is the state of the first one
  Position bad = 0;                                 // the first bad block; 0: none
  BlockState bad_state = BlockState::unsound;
  Position bad_end = 0;     // end of the last bad block
  uint64_t bad_blocks = 0;  // all of them, those of missing files included
  Position touched = 0;  // the first block of last_epoch_ or later, of an incomplete frame; 0: none
  BlockState touched_state = BlockState::written;
  Position touched_end = 0;  // end of the last one
  // At a position where the next frame may have been written, there is not provably an incomplete write.
  bool may_be_acknowledged = false;
};

Scanner::Scanner(port::FileSystem& files, std::string directory, uint64_t log_id,
                 std::vector<SegmentFile>& segments)
    : files_(files),
      directory_(std::move(directory)),
      log_id_(log_id),
      segments_(segments),
      gap_(std::make_unique<Gap>()) {}

Scanner::~Scanner() = default;

Result<bool> Scanner::next(ScanVisitor& visitor) {
  if (!started_) {
    BOP_TRY(find_first_segment());
    started_ = true;
  }
  if (next_segment_ == segments_.size()) return false;
  const SegmentFile& segment = segments_[next_segment_];
  BOP_TRY(load(next_segment_));
  visitor.on_segment(segment);
  walk(segment, visitor);
  if (++next_segment_ < segments_.size()) return true;
  finish(visitor);
  return false;
}

// The latest frames have the current first_segment. They are in the last segment that has any written
// block, so the segments are read from the last one backwards.
Status Scanner::find_first_segment() {
  for (size_t i = segments_.size(); i-- > 0;) {
    BOP_TRY(load(i));
    uint32_t first = 0;
    for (const BlockFacts& block : facts_) {
      if (block.state == BlockState::written) first = std::max(first, block.header.first_segment);
    }
    if (first == 0) continue;
    end_.first_segment = first;
    break;
  }
  while (next_segment_ < segments_.size() && segments_[next_segment_].number < end_.first_segment) {
    ++next_segment_;
  }
  gap_->begin = make_position(end_.first_segment, 0);
  return {};
}

Status Scanner::load(size_t index) {
  if (index == loaded_) return {};
  loaded_ = index;
  const SegmentFile& segment = segments_[index];
  const size_t size = segment.size / block_bytes * block_bytes;
  if (memory_ == nullptr || memory_->size() < size) memory_ = std::make_unique<Memory>(size);
  readable_.assign(size / block_bytes, true);
  for (size_t offset = 0; offset < size; offset += piece_bytes) {
    read_piece(*segment.file, offset, std::min(piece_bytes, size - offset));
  }
  return inspect_blocks(segment);
}

// A piece that cannot be read at once is read block by block.
void Scanner::read_piece(port::File& file, size_t offset, size_t size) {
  const auto read = file.read_now(offset, memory_->span(offset, size));
  if (read && *read == size) return;
  for (size_t at = offset; at < offset + size; at += block_bytes) {
    const auto one = file.read_now(at, memory_->span(at, block_bytes));
    readable_[at / block_bytes] = one && *one == block_bytes;
  }
}

Status Scanner::inspect_blocks(const SegmentFile& segment) {
  facts_.assign(readable_.size(), {});
  for (uint32_t at = 0; at < facts_.size(); ++at) {
    if (!readable_[at]) continue;
    const uint64_t offset = uint64_t{at} * block_bytes;
    facts_[at] = inspect_block(memory_->block(at), log_id_, segment.number, offset);
    const BlockState state = facts_[at].state;
    const bop_status refusal = refusal_of(state);
    if (refusal == BOP_OK) continue;
    return fail(refusal, words(make_position(segment.number, offset), state));
  }
  return {};
}

void Scanner::walk(const SegmentFile& segment, ScanVisitor& visitor) {
  note_missing_segments(segment.number);
  // A segment gets its name when it is complete, so a file without a single block was cut short.
  uint64_t expected_blocks = std::max<uint64_t>(facts_.size(), 1);
  for (uint32_t at = 0; at < facts_.size();) {
    const BlockFacts& block = facts_[at];
    newest_epoch_ = std::max(newest_epoch_, block.newest_epoch);
    if (block.state == BlockState::written || block.state == BlockState::stale) {
      durable_through_ = std::max(durable_through_, block.header.durable_through);
    }
    if (block.state == BlockState::written) {
      expected_blocks = std::max<uint64_t>(expected_blocks, block.header.segment_blocks);
    }
    const uint32_t blocks = whole_frame(segment, at);
    if (blocks > 0) {
      accept(segment, at, blocks, visitor);
      at += blocks;
    } else {
      const Position position = make_position(segment.number, uint64_t{at} * block_bytes);
      if (may_go_on_at(position) && !write_is_incomplete(at)) gap_->may_be_acknowledged = true;
      note_block(segment, at);
      ++at;
    }
  }
  if (expected_blocks > facts_.size()) {  // the file was cut short
    note_bad(make_position(segment.number, facts_.size() * block_bytes), BlockState::unreadable,
             make_position(segment.number, expected_blocks * block_bytes));
  }
}

uint32_t Scanner::whole_frame(const SegmentFile& segment, uint32_t at) {
  const BlockFacts& first = facts_[at];
  const BlockHeader& header = first.header;
  if (first.state != BlockState::written || header.k != 0) return 0;
  if (header.epoch < last_epoch_ || header.number <= last_number_) return 0;
  if (at + header.n > facts_.size()) return 0;
  for (uint32_t k = 1; k < header.n; ++k) {
    const BlockFacts& block = facts_[at + k];
    const bool same = block.state == BlockState::written && block.header.k == k &&
                      block.header.n == header.n && block.header.epoch == header.epoch &&
                      block.header.number == header.number && block.header.kind == header.kind;
    if (!same) return 0;
  }
  if (decode_frame(at, header.n)) return header.n;
  // Valid blocks with malformed records: no writer of this version leaves them behind.
  note_bad(make_position(segment.number, uint64_t{at} * block_bytes), BlockState::unsound,
           make_position(segment.number, uint64_t{at + header.n} * block_bytes));
  return 0;
}

bool Scanner::decode_frame(uint32_t at, uint32_t blocks) {
  stream_.clear();
  for (uint32_t k = 0; k < blocks; ++k) {
    const size_t used = facts_[at + k].header.used;
    const size_t before = stream_.size();
    stream_.resize(before + used);
    copy_stream(memory_->block(at + k).data(), 0, used, stream_.data() + before);
  }
  return decode_records(stream_, records_);
}

void Scanner::accept(const SegmentFile& segment, uint32_t at, uint32_t blocks,
                     ScanVisitor& visitor) {
  const BlockHeader& header = facts_[at].header;
  close_gap(header.position, header.number, visitor);
  end_.any_frame = true;
  end_.first_segment = std::max(end_.first_segment, header.first_segment);
  ++end_.frames;
  end_.bytes += uint64_t{blocks} * block_bytes;
  last_number_ = header.number;
  last_epoch_ = header.epoch;
  for (uint32_t k = 0; k < blocks; ++k) {
    const BlockFacts& block = facts_[at + k];
    newest_epoch_ = std::max(newest_epoch_, block.newest_epoch);
    durable_through_ = std::max(durable_through_, block.header.durable_through);
  }
  FrameView frame;
  frame.header = header;
  frame.end = make_position(segment.number, uint64_t{at + blocks} * block_bytes);
  frame.records = &records_;
  visitor.on_frame(frame);
  *gap_ = Gap{};
  gap_->begin = frame.end;
}

void Scanner::note_block(const SegmentFile& segment, uint32_t at) {
  const BlockFacts& block = facts_[at];
  const Position position = make_position(segment.number, uint64_t{at} * block_bytes);
  const Position end = position + block_bytes;
  if (position == gap_->begin || !gap_->any) gap_->begin_state = block.state;
  gap_->any = true;
  if (block.state == BlockState::unsound || block.state == BlockState::unreadable) {
    note_bad(position, block.state, end);
    return;
  }
  const bool written = block.state == BlockState::written || block.state == BlockState::mixed;
  if (!written || block.newest_epoch < last_epoch_) return;
  if (gap_->touched == 0) {
    gap_->touched = position;
    gap_->touched_state = block.state;
  }
  gap_->touched_end = end;
}

// The next frame begins at the end of the last one or at the beginning of the next segment.
bool Scanner::may_go_on_at(Position position) const {
  return position == gap_->begin || position == make_position(segment_of(gap_->begin) + 1, 0);
}

// Whether a write that should have replaced this block did not do so.
bool Scanner::holds_old_content(const BlockFacts& block) const {
  if (block.state == BlockState::never_written || block.state == BlockState::stale) return true;
  const bool written = block.state == BlockState::written || block.state == BlockState::mixed;
  return written && block.newest_epoch < last_epoch_;  // it was cut off by an earlier recovery
}

// A frame is acknowledged when all its blocks are on the device. So a block with old content, or one that
// was only partly written, proves that the frame was not acknowledged.
bool Scanner::write_is_incomplete(uint32_t at) const {
  const BlockHeader& first = facts_[at].header;
  for (uint32_t k = 0; at + k < facts_.size(); ++k) {
    const BlockFacts& block = facts_[at + k];
    if (holds_old_content(block) || block.state == BlockState::mixed) return true;
    if (block.state != BlockState::written) return false;
    const bool next = !end_.any_frame || block.header.number == last_number_ + 1;
    const bool same = block.header.number == first.number && block.header.epoch == first.epoch &&
                      block.header.n == first.n && block.header.k == k;
    if (!next || !same || k + 1 == first.n) return false;
  }
  return false;
}

void Scanner::note_bad(Position position, BlockState state, Position end) {
  if (may_go_on_at(position)) gap_->may_be_acknowledged = true;
  if (gap_->bad == 0) {
    gap_->bad = position;
    gap_->bad_state = state;
  }
  gap_->bad_end = std::max(gap_->bad_end, end);
  const uint64_t segments = segment_of(end) - segment_of(position);
  gap_->bad_blocks +=
      segments == 0 ? (end - position) / block_bytes : segments * (max_segment_bytes / block_bytes);
}

void Scanner::note_missing_segments(uint32_t number) {
  const uint32_t expected =
      next_segment_ == 0 || !walked_ ? end_.first_segment : segments_[next_segment_ - 1].number + 1;
  walked_ = true;
  if (number <= expected) return;
  note_bad(make_position(expected, 0), BlockState::unreadable, make_position(number, 0));
}

// Ends the stretch before a whole frame.
void Scanner::close_gap(Position next, uint64_t number, ScanVisitor& visitor) {
  Stretch stretch;
  stretch.frame_follows = true;
  stretch.numbers_follow = end_.any_frame ? number == last_number_ + 1 : next == gap_->begin;
  const Verdict verdict = judge(stretch);
  if (verdict != Verdict::nothing) visitor.on_finding(finding(verdict, next));
}

void Scanner::finish(ScanVisitor& visitor) {
  Stretch stretch;
  stretch.below_durable = gap_->begin < durable_through_;
  stretch.bad = gap_->bad != 0;
  stretch.touched = gap_->touched != 0;
  stretch.first_write_incomplete = !gap_->may_be_acknowledged;
  const Verdict verdict = judge(stretch);
  end_.position = gap_->begin;
  end_.next_number = last_number_ + 1;
  // Each epoch begins with a frame of its own, so as many may have begun in blocks that cannot be read.
  end_.next_epoch =
      seeded(Bug::epoch_not_raised)
          ? std::max(newest_epoch_, 1u)
          : newest_epoch_ + 1 + static_cast<uint32_t>(std::min(gap_->bad_blocks, most_epochs_lost));
  if (stretch.bad && (verdict == Verdict::end || verdict == Verdict::tear)) {
    end_.bad_behind_end = gap_->bad;
    end_.bad_behind_end_words = words(gap_->bad, gap_->bad_state);
    gap_->bad = 0;
  }
  if (verdict == Verdict::end) return;
  if (verdict == Verdict::tear) {
    end_.cut = gap_->begin;
    visitor.on_finding(finding(verdict, gap_->touched_end));
    return;
  }
  // Blocks that may have been acknowledged are never overwritten. The skipped frame number makes later
  // scans reach the same verdict.
  end_.position =
      std::max({gap_->begin, gap_->bad_end, stretch.below_durable ? durable_through_ : 0});
  end_.next_number = last_number_ + 2;
  visitor.on_finding(finding(verdict, end_.position));
}

Finding Scanner::finding(Verdict verdict, Position end) const {
  Finding finding;
  finding.verdict = verdict;
  finding.begin = gap_->begin;
  finding.end = end;
  finding.first = gap_->begin;
  finding.state = gap_->begin_state;
  if (gap_->bad != 0) {
    finding.first = gap_->bad;
    finding.state = gap_->bad_state;
  } else if (gap_->touched != 0) {
    finding.first = gap_->touched;
    finding.state = gap_->touched_state;
  }
  finding.words = words(finding.first, finding.state);
  return finding;
}

FileOffset Scanner::file_offset(Position position) const {
  return {directory_ + "/" + segment_name(segment_of(position)), offset_of(position)};
}

std::string Scanner::words(Position position, BlockState state) const {
  const FileOffset where = file_offset(position);
  return files_.describe(where.file) + " at " + std::to_string(where.offset) + ": " +
         words_of(state);
}

}  // namespace bop::log

// Walks the files of a log from its first segment to its last and tells a visitor, in order, what
// stands there: whole frames with their records, and the stretches between them with a verdict.
// It writes nothing. Recovery and inspection are visitors.
//
// One segment is in memory at a time. A stretch without a whole frame is judged when the next whole
// frame, or the end of the files, is reached.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "log/block.h"
#include "log/log.h"
#include "log/record.h"
#include "log/verdict.h"
#include "port/file.h"

namespace bop::log {

struct SegmentFile {
  uint32_t number = 0;
  uint64_t size = 0;
  std::unique_ptr<port::File> file;
};

// DAMAGED: it is larger than a segment can be.
Result<SegmentFile> open_segment(port::FileSystem& files, const std::string& path, uint32_t number,
                                 port::FileOptions options);

struct FrameView {
  BlockHeader header;  // of its first block
  Position end = 0;
  const std::vector<RecordView>* records = nullptr;
};

// A stretch without a whole frame, judged. begin == end: only numbers are missing.
struct Finding {
  Verdict verdict = Verdict::end;
  Position begin = 0;
  Position end = 0;  // of the bad or torn blocks; the next whole frame when one follows
  Position first =
      0;  // the block to name: the first bad one or, for lack of one, the first touched
  BlockState state = BlockState::written;  // of that block
  std::string words;  // "block 3 of segment ... : a sector's checksum does not hold"
};

class ScanVisitor {
 public:
  virtual ~ScanVisitor() = default;
  virtual void on_segment(const SegmentFile& segment) = 0;
  virtual void on_frame(const FrameView& frame) = 0;
  // Of every verdict but `end` and `nothing`.
  virtual void on_finding(const Finding& finding) = 0;
};

// Where writing goes on after a scan.
struct ScanEnd {
  bool any_frame = false;
  Position position = 0;     // of the next frame
  uint64_t next_number = 1;  // leaves a gap behind damaged and suspect stretches, for good
  uint32_t next_epoch = 1;   // above every epoch that any sector names
  uint32_t first_segment = 1;
  Position cut = 0;  // of a tear, 0: none
  // The first bad block behind the end, where nothing was ever written; 0: none. It is written over
  // when the log gets there.
  Position bad_behind_end = 0;
  std::string bad_behind_end_words;
  uint64_t frames = 0;
  uint64_t bytes = 0;  // of whole frames
};

class Scanner {
 public:
  // `segments` by number; files that a crash left behind, below the first segment needed, are
  // skipped. Nothing is read yet.
  Scanner(port::FileSystem& files, std::string directory, uint64_t log_id,
          std::vector<SegmentFile>& segments);
  ~Scanner();

  // Reads and checks the next segment. False: that was the last one, and end() is known.
  // FOREIGN_DIRECTORY, NEWER_FORMAT.
  Result<bool> next(ScanVisitor& visitor);

  const ScanEnd& end() const { return end_; }
  FileOffset file_offset(Position position) const;

 private:
  class Memory;
  struct Gap;

  Status find_first_segment();
  Status load(size_t index);
  void read_piece(port::File& file, size_t offset, size_t size);
  Status inspect_blocks(const SegmentFile& segment);
  void walk(const SegmentFile& segment, ScanVisitor& visitor);
  // Blocks of the whole frame that begins at block `at`; 0: none does.
  uint32_t whole_frame(const SegmentFile& segment, uint32_t at);
  bool decode_frame(uint32_t at, uint32_t blocks);
  void accept(const SegmentFile& segment, uint32_t at, uint32_t blocks, ScanVisitor& visitor);
  void note_block(const SegmentFile& segment, uint32_t at);
  void note_missing_segments(uint32_t number);
  void note_bad(Position position, BlockState state, Position end);
  // Whether the log may have gone on at this position behind the last whole frame.
  bool may_go_on_at(Position position) const;
  // Whether the write that goes on there is provably not whole on the device.
  bool write_is_incomplete(uint32_t at) const;
  bool holds_old_content(const BlockFacts& block) const;
  void close_gap(Position next, uint64_t number, ScanVisitor& visitor);
  void finish(ScanVisitor& visitor);
  Finding finding(Verdict verdict, Position end) const;
  std::string words(Position position, BlockState state) const;

  port::FileSystem& files_;
  const std::string directory_;
  const uint64_t log_id_;
  std::vector<SegmentFile>& segments_;
  size_t next_segment_ = 0;
  bool started_ = false;
  size_t loaded_ = SIZE_MAX;  // which of segments_ is in memory
  bool walked_ = false;

  std::unique_ptr<Memory> memory_;  // of one segment
  std::vector<bool> readable_;      // which of its blocks could be read
  std::vector<BlockFacts> facts_;   // of its blocks
  std::vector<uint8_t> stream_;     // of one frame
  std::vector<RecordView> records_;

  ScanEnd end_;
  uint64_t last_number_ = 0;
  uint32_t last_epoch_ = 0;
  uint32_t newest_epoch_ = 0;
  Position durable_through_ = 0;  // the highest that a valid block names
  std::unique_ptr<Gap> gap_;      // since the last whole frame
};

}  // namespace bop::log

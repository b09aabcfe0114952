// Scans the files of a log from the first segment to the last and reports to a visitor, in order, what they
// contain: whole frames with their records, and the stretches between them with a verdict. It writes
// nothing. Recovery and inspection are visitors.
//
// One segment is in memory at a time. The verdict on a stretch without a whole frame is decided at the next
// whole frame or at the end of the files.
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

// DAMAGED: the file is larger than a segment can be.
Result<SegmentFile> open_segment(port::FileSystem& files, const std::string& path, uint32_t number,
                                 port::FileOptions options);

struct FrameView {
  BlockHeader header;  // of its first block
  Position end = 0;
  const std::vector<RecordView>* records = nullptr;
};

// A stretch without a whole frame, and its verdict. begin == end: only frame numbers are missing.
struct Finding {
  Verdict verdict = Verdict::end;
  Position begin = 0;
  Position end = 0;  // the next whole frame; without one, the end of the bad or torn blocks
  // The block to report: the first bad one or, if none is bad, the first touched one.
  Position first = 0;
  BlockState state = BlockState::written;  // of that block
  std::string
      words;  // "shard0/0000000000000003.seg at 4096: a block whose checksum does not match"
};

class ScanVisitor {
 public:
  virtual ~ScanVisitor() = default;
  virtual void on_segment(const SegmentFile& segment) = 0;
  virtual void on_frame(const FrameView& frame) = 0;
  // Called for every verdict except `end` and `nothing`.
  virtual void on_finding(const Finding& finding) = 0;
};

// Where the log continues after a scan.
struct ScanEnd {
  bool any_frame = false;
  Position position = 0;  // of the next frame
  uint64_t next_number =
      1;  // skips a number after damage or suspect, so that later scans see it too
  uint32_t next_epoch = 1;     // above every epoch that ever began
  uint32_t first_segment = 1;  // that is needed
  Position cut = 0;            // where a tear was cut; 0: none
  // The first bad block behind the end, where nothing was ever written; 0: none. It is overwritten when the
  // log gets there.
  Position bad_behind_end = 0;
  std::string bad_behind_end_words;
  uint64_t frames = 0;
  uint64_t bytes = 0;  // of whole frames
};

class Scanner {
 public:
  // `segments` are sorted by number. Those below the first segment that is needed, which a crash left
  // behind, are skipped. Reads nothing yet.
  Scanner(port::FileSystem& files, std::string directory, uint64_t log_id,
          std::vector<SegmentFile>& segments);
  ~Scanner();

  // Reads and scans the next segment. False: that was the last one, and end() is complete.
  // FOREIGN_DIRECTORY, NEWER_FORMAT, OLDER_FORMAT.
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
  // The number of blocks of the whole frame that begins at block `at`; 0: none begins there.
  uint32_t whole_frame(const SegmentFile& segment, uint32_t at);
  bool decode_frame(uint32_t at, uint32_t blocks);
  void accept(const SegmentFile& segment, uint32_t at, uint32_t blocks, ScanVisitor& visitor);
  void note_block(const SegmentFile& segment, uint32_t at);
  void note_missing_segments(uint32_t number);
  void note_bad(Position position, BlockState state, Position end);
  // Whether the frame after the last whole one may have been written at this position.
  bool may_go_on_at(Position position) const;
  // Whether the write of such a frame provably did not complete.
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

  std::unique_ptr<Memory> memory_;  // the loaded segment
  std::vector<bool> readable_;      // which of its blocks could be read
  std::vector<BlockFacts> facts_;   // of its blocks
  std::vector<uint8_t> stream_;     // of the frame that is decoded
  std::vector<RecordView> records_;

  ScanEnd end_;
  uint64_t last_number_ = 0;      // of the last whole frame
  uint32_t last_epoch_ = 0;       // of the last whole frame
  uint32_t newest_epoch_ = 0;     // the highest in any valid sector so far
  Position durable_through_ = 0;  // the highest in any valid block so far
  std::unique_ptr<Gap> gap_;      // blocks since the last whole frame
};

}  // namespace bop::log

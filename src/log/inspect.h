// Read-only inspection of a log's directory: the contents of its files, item by item, and what recovery
// would conclude. For `bop log inspect` and bop/log.h.
//
// Reads the files, blocking, one segment at a time. Writes nothing, and needs neither the log's id nor the
// directory's lock. Frames that a running node is writing may look like a tear.
#pragma once

#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "log/log.h"
#include "log/rebuild.h"
#include "log/scan.h"

namespace bop::log {

enum class ItemKind : uint8_t {
  segment,  // begins a file; sets location, bytes, text
  frame,    // one write; sets all but record and verdict; its records follow
  record,   // of the frame before it; as the frame, with `record` and the record's bytes
  problem,  // a stretch without a whole frame; sets location, verdict, bytes, text
};

struct Item {
  ItemKind kind = ItemKind::segment;
  FileOffset location;
  uint64_t bytes = 0;
  FrameKind frame_kind = FrameKind::data;
  uint32_t epoch = 0;
  uint64_t number = 0;           // of the frame
  uint32_t blocks = 0;           // of the frame
  Position durable_through = 0;  // segment << 32 | offset
  RecordHeader record;
  Verdict verdict = Verdict::end;
  std::string text;  // for people; empty for a record
};

class Inspection {
 public:
  // NOT_FOUND: the directory has no segment. NEWER_FORMAT is reported by next().
  static Result<std::unique_ptr<Inspection>> open(port::FileSystem& files, std::string directory);
  ~Inspection();

  // False: there are no more items, and recovery() is complete.
  Result<bool> next(Item& item);
  const Recovery& recovery() const { return recovery_; }

 private:
  class Collector;

  Inspection(port::FileSystem& files, std::string directory, uint64_t log_id,
             std::vector<SegmentFile> segments);

  std::vector<SegmentFile> segments_;
  Scanner scanner_;
  Rebuild rebuild_;
  std::unique_ptr<Collector> collector_;
  std::deque<Item> items_;
  bool more_ = true;
  Recovery recovery_;
};

const char* name_of(FrameKind kind);

}  // namespace bop::log

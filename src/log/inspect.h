// Read-only inspection of a log's directory: what stands in its files, item by item, and what a recovery
// would make of it. For `bop log inspect` and bop/log.h.
//
// Reads the files as they lie, blocking, a segment at a time; writes nothing and needs neither the
// log's id nor the directory's lock. What a running node writes meanwhile may look like a tear.
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
  segment,  // a file begins: place, bytes
  frame,    // one write: all but `record` and `verdict`; its records follow
  record,  // of that frame: `record`; offset and bytes are those of the record in the frame's stream
  problem,  // a stretch without a whole frame: verdict, bytes, text
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
  std::string text;  // words for people; empty for a record
};

class Inspection {
 public:
  // NOT_FOUND: there is no log. NEWER_FORMAT may also come from next().
  static Result<std::unique_ptr<Inspection>> open(port::FileSystem& files, std::string directory);
  ~Inspection();

  // False: there are no more, and recovery() is known.
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

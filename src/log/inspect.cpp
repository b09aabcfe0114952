#include "log/inspect.h"

namespace bop::log {
namespace {

Result<std::vector<SegmentFile>> open_segments(port::FileSystem& files,
                                               const std::string& directory) {
  BOP_TRY_ASSIGN(const auto names, files.list_now(directory));
  std::vector<SegmentFile> segments;
  for (const std::string& name : names) {
    const uint32_t number = segment_number(name);
    if (number == 0) continue;
    BOP_TRY_ASSIGN(SegmentFile segment,
                   open_segment(files, directory + "/" + name, number, {.read_only = true}));
    segments.push_back(std::move(segment));
  }
  if (segments.empty()) {
    return fail(BOP_E_NOT_FOUND, files.describe(directory) + " holds no segment of a log");
  }
  return segments;
}

// The log id of the first valid block; 0: there is none.
uint64_t find_log_id(const std::vector<SegmentFile>& segments) {
  std::vector<uint8_t> block(block_bytes);
  for (const SegmentFile& segment : segments) {
    for (uint64_t offset = 0; offset + block_bytes <= segment.size; offset += block_bytes) {
      const auto read = segment.file->read_now(offset, block);
      if (!read || *read != block_bytes) continue;
      const BlockFacts facts = inspect_block(block, 0, segment.number, offset);
      if (facts.state == BlockState::foreign) return facts.header.log_id;
    }
  }
  return 0;
}

}  // namespace

const char* name_of(FrameKind kind) {
  switch (kind) {
    case FrameKind::never_written: return "never written";
    case FrameKind::data: return "data";
    case FrameKind::seal: return "seal";
    case FrameKind::opening: return "opening";
    case FrameKind::summary: return "summary";
  }
  return "?";
}

// Turns the findings of the scan into items, and passes them on to the rebuild.
class Inspection::Collector : public ScanVisitor {
 public:
  explicit Collector(Inspection& to) : to_(to) {}

  void on_segment(const SegmentFile& segment) override {
    Item item;
    item.kind = ItemKind::segment;
    item.location = to_.scanner_.file_offset(make_position(segment.number, 0));
    item.bytes = segment.size;
    item.text = "segment " + std::to_string(segment.number);
    to_.items_.push_back(std::move(item));
    to_.rebuild_.on_segment(segment);
  }

  void on_frame(const FrameView& frame) override {
    Item item;
    item.kind = ItemKind::frame;
    item.location = to_.scanner_.file_offset(frame.header.position);
    item.bytes = frame.end - frame.header.position;
    item.frame_kind = frame.header.kind;
    item.epoch = frame.header.epoch;
    item.number = frame.header.number;
    item.blocks = frame.header.n;
    item.durable_through = frame.header.durable_through;
    item.text = name_of(frame.header.kind);
    to_.items_.push_back(item);
    item.kind = ItemKind::record;
    item.text.clear();
    for (const RecordView& record : *frame.records) {
      item.record = record.header;
      item.bytes = record.header.bytes;
      to_.items_.push_back(item);
    }
    to_.rebuild_.on_frame(frame);
  }

  void on_finding(const Finding& finding) override {
    Item item;
    item.kind = ItemKind::problem;
    item.location = to_.scanner_.file_offset(finding.first);
    item.bytes = finding.end > finding.first ? finding.end - finding.first : 0;
    item.verdict = finding.verdict;
    item.text = std::string(name_of(finding.verdict)) + ": " + finding.words;
    to_.items_.push_back(std::move(item));
    to_.rebuild_.on_finding(finding);
  }

 private:
  Inspection& to_;
};

Inspection::Inspection(port::FileSystem& files, std::string directory, uint64_t log_id,
                       std::vector<SegmentFile> segments)
    : segments_(std::move(segments)),
      scanner_(files, std::move(directory), log_id, segments_),
      rebuild_(scanner_),
      collector_(std::make_unique<Collector>(*this)) {}

Inspection::~Inspection() = default;

Result<std::unique_ptr<Inspection>> Inspection::open(port::FileSystem& files,
                                                     std::string directory) {
  BOP_TRY_ASSIGN(auto segments, open_segments(files, directory));
  const uint64_t log_id = find_log_id(segments);
  return std::unique_ptr<Inspection>(
      new Inspection(files, std::move(directory), log_id, std::move(segments)));
}

Result<bool> Inspection::next(Item& item) {
  while (items_.empty() && more_) {
    BOP_TRY_ASSIGN(more_, scanner_.next(*collector_));
    if (more_) continue;
    rebuild_.finish();
    recovery_ = rebuild_.recovery();
    if (const Position bad = scanner_.end().bad_behind_end; bad != 0) {
      Item problem;
      problem.kind = ItemKind::problem;
      problem.location = scanner_.file_offset(bad);
      problem.text = "behind the end of the log: " + recovery_.bad_behind_end;
      items_.push_back(std::move(problem));
    }
  }
  if (items_.empty()) return false;
  item = std::move(items_.front());
  items_.pop_front();
  return true;
}

}  // namespace bop::log

// Two segment files of a log. The input is a small program that writes whole frames, with true
// checksums, wherever it likes, and alters bytes; then the files are scanned and the groups rebuilt.
// Whatever stands there, the scan ends, and no group is ok that lost a record of its chain. An inspection
// ends as the recovery does, with the same groups.
#include <algorithm>
#include <cstdlib>
#include <memory>

#include "../files.h"
#include "log/frame.h"
#include "log/inspect.h"
#include "log/rebuild.h"

namespace {

using namespace bop;
using namespace bop::log;

constexpr uint64_t log_id = 77;
constexpr uint32_t blocks = 16;
constexpr uint64_t segment_bytes = blocks * block_bytes;

// The instructions: the first byte says which, what follows are its operands.
class Program {
 public:
  Program(const uint8_t* data, size_t size) : reader_({data, size}) {
    for (auto& segment : segments_) {
      segment.resize(segment_bytes);
      for (uint64_t at = 0; at < segment_bytes; at += block_bytes) {
        fill_never_written(segment.data() + at, log_id, at);
      }
    }
  }

  void run() {
    while (reader_.ok() && reader_.remaining() > 0) {
      const uint8_t what = reader_.u8();
      if (what % 4 == 3) {
        alter();
      } else {
        write_frame(what);
      }
    }
  }

  std::vector<uint8_t>& segment(size_t i) { return segments_[i]; }

 private:
  void alter() {
    const uint16_t where = reader_.u16();
    const uint8_t how = reader_.u8();
    auto& segment = segments_[where % 2];
    segment[(where / 2 * 17u) % segment_bytes] ^= how;
  }

  void write_frame(uint8_t what) {
    const uint8_t place = reader_.u8();
    const uint8_t numbers = reader_.u8();
    const size_t size = reader_.u8() * 40u;
    const Bytes stream = reader_.bytes(std::min(size, reader_.remaining()));
    const uint32_t n = static_cast<uint32_t>(
        std::max<size_t>(1, (stream.size() + block_stream_bytes - 1) / block_stream_bytes));
    const uint32_t at = place / 2 % blocks;
    if (at + n > blocks) return;
    auto& segment = segments_[place % 2];
    Frame frame(n);
    frame.begin(static_cast<FrameKind>(1 + what % 4),
                make_position(1 + place % 2, at * block_bytes), 1 + numbers % 16, n, 0);
    frame.put(stream.data(), stream.size());
    BlockHeader common;
    common.log_id = log_id;
    common.epoch = 1 + numbers / 16 % 4;
    common.first_segment = 1;
    common.segment_blocks = blocks;
    common.durable_through = what & 64 ? frame.position() : 0;
    const Bytes bytes = frame.finish(common);
    std::copy(bytes.begin(), bytes.end(), segment.begin() + static_cast<long>(at * block_bytes));
  }

  Reader reader_;
  std::vector<uint8_t> segments_[2];
};

void check(const Recovery& recovery) {
  for (const RecoveredGroup& group : recovery.groups) {
    if (group.health == Health::suspect && group.reason.empty()) std::abort();
    if (group.before_first.index > group.last) std::abort();
    Index before = 0;
    for (const raft::TermRun& run : group.runs) {
      if (run.first <= before || run.first > group.last) std::abort();
      before = run.first;
    }
  }
}

// The segments' names are those of a directory "wal".
void inspect(Program& program, const Recovery& recovery) {
  fuzz::MemoryFiles files;
  for (uint32_t i = 0; i < 2; ++i) files.files["wal/" + segment_name(i + 1)] = program.segment(i);
  const auto inspection = Inspection::open(files, "wal").value();
  Item item;
  for (bool more = true; more;) {
    const auto next = inspection->next(item);
    if (!next) return;  // a version of another log's block, whose id is looked at first
    more = *next;
  }
  if (inspection->recovery().groups.size() != recovery.groups.size()) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Program program(data, size);
  program.run();
  fuzz::MemoryFiles files;
  std::vector<SegmentFile> segments;
  for (uint32_t i = 0; i < 2; ++i) {
    segments.push_back(
        {i + 1, segment_bytes, std::make_unique<fuzz::MemoryFile>(program.segment(i))});
  }
  Scanner scanner(files, "wal", log_id, segments);
  Rebuild rebuild(scanner);
  for (bool more = true; more;) {
    const auto next = scanner.next(rebuild);
    if (!next) return 0;  // an altered version
    more = *next;
  }
  rebuild.finish();
  check(rebuild.recovery());
  inspect(program, rebuild.recovery());
  if (scanner.end().position < make_position(1, 0)) std::abort();
  return 0;
}

// Two segment files of a log. The input is a small program that writes whole frames, with true
// checksums, wherever it likes, and alters bytes; then the files are scanned and the groups rebuilt.
// Whatever stands there, the scan ends, and no group is ok that lost a record of its chain.
#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "log/frame.h"
#include "log/rebuild.h"

namespace {

using namespace bop;
using namespace bop::log;

constexpr uint64_t log_id = 77;
constexpr uint32_t blocks = 16;
constexpr uint64_t segment_bytes = blocks * block_bytes;

class MemoryFile : public port::File {
 public:
  explicit MemoryFile(const std::vector<uint8_t>& bytes) : bytes_(bytes) {}
  void read(uint64_t, std::span<uint8_t>, port::Completion&) override { std::abort(); }
  void write(uint64_t, std::span<const Bytes>, port::Completion&) override { std::abort(); }
  void sync(port::Completion&) override { std::abort(); }
  Result<size_t> read_now(uint64_t offset, std::span<uint8_t> into) override {
    const size_t size = std::min<uint64_t>(into.size(), bytes_.size() - offset);
    std::memcpy(into.data(), bytes_.data() + offset, size);
    return size;
  }
  Status write_now(uint64_t, Bytes) override { std::abort(); }
  Status sync_now() override { std::abort(); }
  Result<uint64_t> size() const override { return bytes_.size(); }
  size_t alignment() const override { return 1; }
  bool direct() const override { return false; }

 private:
  const std::vector<uint8_t>& bytes_;
};

// Only names are asked of it.
class NoFiles : public port::FileSystem {
 public:
  void open(std::string, port::FileOptions, std::unique_ptr<port::File>&,
            port::Completion&) override {
    std::abort();
  }
  void remove(std::string, port::Completion&) override { std::abort(); }
  void rename(std::string, std::string, port::Completion&) override { std::abort(); }
  void sync_directory(std::string, port::Completion&) override { std::abort(); }
  Result<std::unique_ptr<port::File>> open_now(const std::string&, port::FileOptions) override {
    std::abort();
  }
  Result<std::vector<std::string>> list_now(const std::string&) override { std::abort(); }
  Status make_directory_now(const std::string&) override { std::abort(); }
  Status remove_now(const std::string&) override { std::abort(); }
  Status rename_now(const std::string&, const std::string&) override { std::abort(); }
  Status sync_directory_now(const std::string&) override { std::abort(); }
  Result<uint64_t> free_bytes() const override { std::abort(); }
  std::string describe(const std::string& name) const override { return name; }
};

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

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Program program(data, size);
  program.run();
  NoFiles files;
  std::vector<SegmentFile> segments;
  for (uint32_t i = 0; i < 2; ++i) {
    segments.push_back({i + 1, segment_bytes, std::make_unique<MemoryFile>(program.segment(i))});
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
  if (scanner.end().position < make_position(1, 0)) std::abort();
  return 0;
}

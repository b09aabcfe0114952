// Opening a log: its files are found, scanned and synced, the groups are rebuilt, and a new epoch begins
// with a frame that names every group.
#include <algorithm>

#include "base/assert.h"
#include "base/logging.h"
#include "log/shard_log.h"

namespace bop::log {
namespace {

Status check_options(const Options& options) {
  if (options.log_id == 0) return fail(BOP_E_INVALID_ARGUMENT, "log_id must not be 0");
  if (options.segment_bytes % block_bytes != 0 || options.segment_bytes < (256u << 10) ||
      options.segment_bytes > max_segment_bytes) {
    return fail(BOP_E_INVALID_ARGUMENT,
                "segment_bytes must be 256 KiB to 2 GiB and a multiple of 4096");
  }
  if (options.max_bytes < 3 * options.segment_bytes) {
    return fail(BOP_E_INVALID_ARGUMENT, "max_bytes must be at least three times segment_bytes");
  }
  if (options.max_frame_bytes < 4 * block_bytes) {
    return fail(BOP_E_INVALID_ARGUMENT, "max_frame_bytes must be at least 16 KiB");
  }
  return {};
}

// A frame must fit in a segment together with the summaries, and its number of blocks in 16 bits.
uint32_t frame_blocks(const Options& options) {
  const uint64_t segment = options.segment_bytes / block_bytes;
  const uint64_t frame = options.max_frame_bytes / block_bytes;
  return static_cast<uint32_t>(std::min({frame, segment - segment / 4, uint64_t{UINT16_MAX}}));
}

}  // namespace

Result<std::unique_ptr<Log>> Log::open(port::FileSystem& files, const std::string& directory,
                                       const Options& options, const port::Clock& clock,
                                       port::Timers& timers, port::Post& post, bool create) {
  return ShardLog::open({files, clock, timers, post}, directory, options, create);
}

Result<std::unique_ptr<Log>> ShardLog::open(const LogPorts& ports, const std::string& directory,
                                            const Options& options, bool create) {
  BOP_TRY(check_options(options));
  std::unique_ptr<ShardLog> log(new ShardLog(ports, directory, options));
  BOP_TRY(log->recover(create));
  log->serve();
  return log;
}

ShardLog::ShardLog(const LogPorts& ports, std::string directory, const Options& options)
    : ports_(ports),
      directory_(std::move(directory)),
      options_(options),
      segments_(ports.files, directory_, options, ports.clock, ports.timers),
      reads_(
          options.log_id, ports.files, directory_, ports.post,
          [this](GroupId group, Index index) { return locate(group, index); },
          [this] { segments_.want(0); }),
      max_frame_blocks_(frame_blocks(options)),
      seal_timer_(ports.timers.make_timer([this] { seal_if_idle(); })),
      rewrite_timer_(ports.timers.make_timer([this] { rewrite_if_crowded(); })) {}

Status ShardLog::recover(bool create) {
  if (create) BOP_TRY(ports_.files.make_directory_now(directory_));
  BOP_TRY(segments_.remove_leftovers());
  BOP_TRY_ASSIGN(std::vector<SegmentFile> files, open_files(create));
  Scanner scanner(ports_.files, directory_, options_.log_id, files);
  Rebuild rebuild(scanner);
  for (bool more = !files.empty(); more;) {
    BOP_TRY_ASSIGN(more, scanner.next(rebuild));
  }
  rebuild.finish();
  ScanEnd end = scanner.end();
  recovery_ = rebuild.recovery();
  if (!recovery_.bad_behind_end.empty()) {
    logging::warning(
        "{}, behind the end of the log: nothing was acknowledged there, so it is ignored",
        recovery_.bad_behind_end);
  }
  const bool nothing = !end.any_frame && !recovery_.damaged && !recovery_.suspect;
  if (nothing && !create) {
    return fail(BOP_E_NOT_FORMATTED, ports_.files.describe(directory_) + " holds no log");
  }
  if (end.position == 0) end.position = make_position(1, 0);
  take_groups(rebuild);
  for (SegmentFile& file : files) segments_.adopt(std::move(file));
  // Frames that were read may still be in the device's cache only. They are made durable before the frame
  // of the new epoch claims that they are.
  if (const auto last = segments_.find(rebuild.last_frame_segment())) {
    BOP_TRY(last->file->sync_now());
  }
  BOP_TRY(ports_.files.sync_directory_now(directory_));
  return write_opening(end);
}

Result<std::vector<SegmentFile>> ShardLog::open_files(bool create) {
  std::vector<SegmentFile> files;
  const auto names = ports_.files.list_now(directory_);
  if (!names && names.error().code == BOP_E_NOT_FOUND && !create) {
    return fail(BOP_E_NOT_FORMATTED, ports_.files.describe(directory_) + " does not exist");
  }
  if (!names) return std::unexpected(names.error());
  for (const std::string& name : *names) {
    const uint32_t number = segment_number(name);
    if (number == 0) continue;
    BOP_TRY_ASSIGN(SegmentFile segment, open_segment(ports_.files, directory_ + "/" + name, number,
                                                     segments_.file_options()));
    files.push_back(std::move(segment));
  }
  return files;
}

void ShardLog::take_groups(Rebuild& rebuild) {
  gap_segment_ = rebuild.first_gap_segment();
  for (auto& [id, rebuilt] : rebuild.take_groups()) {
    Group& group = group_of(id);
    group.index = std::move(rebuilt.index);
    group.health = rebuilt.suspect ? Health::suspect : rebuilt.newer ? Health::newer : Health::ok;
    pin(group);
  }
}

// Writes the first frame of the new epoch, behind everything that may have been acknowledged.
Status ShardLog::write_opening(const ScanEnd& end) {
  head_ = segment_of(end.position);
  next_position_ = end.position;
  next_number_ = end.next_number;
  auto segment = segments_.find(head_);
  const uint64_t size =
      record_header_bytes + std::min<uint64_t>(sorted_groups().size(), 4096) * summary_item_bytes;
  const uint64_t needed = (size + block_stream_bytes - 1) / block_stream_bytes * block_bytes;
  if (segment != nullptr && offset_of(end.position) + needed > segment->size) {
    ++head_;
    next_position_ = make_position(head_, 0);
    segment = segments_.find(head_);
  }
  if (segment == nullptr) {
    const Status made = segments_.make_now(head_);
    // The existing entries can be served while the log waits for space.
    if (!made && made.error().code == BOP_E_DISK_FULL && end.any_frame) {
      return open_without_space(end, made.error());
    }
    BOP_TRY(made);
    segment = segments_.find(head_);
  }
  head_bytes_ = segment->size;
  auto opening = make_opening(end);
  BlockHeader common;
  common.log_id = options_.log_id;
  common.durable_through = end.position;
  common.epoch = end.next_epoch;
  common.first_segment = written_first_segment_ = opening->first_segment;
  common.segment_blocks = static_cast<uint32_t>(head_bytes_ / block_bytes);
  const Bytes bytes = opening->frame.finish(common);
  BOP_TRY(segment->file->write_now(offset_of(opening->frame.position()), bytes));
  BOP_TRY(segment->file->sync_now());
  next_position_ = durable_end_ = opening->frame.end();
  sealed_ = true;
  free_.push_back(std::move(opening));
  return {};
}

std::unique_ptr<ShardLog::Gathering> ShardLog::make_opening(const ScanEnd& end) {
  auto opening = take_memory();
  opening->first_segment = std::max(end.first_segment, first_needed());
  opening->frame.begin(FrameKind::opening, next_position_, next_number_++,
                       std::min(max_frame_blocks_, blocks_left()), ports_.clock.now());
  put_summary(opening->frame);
  return opening;
}

// The opening frame waits, first in the queue, until a segment can be made.
Status ShardLog::open_without_space(const ScanEnd& end, const Error& why) {
  logging::warning("{}: no space for a segment ({}): entries are refused until there is space",
                   ports_.files.describe(directory_), why.to_string());
  head_bytes_ = options_.segment_bytes;
  durable_end_ = end.position;
  written_first_segment_ = end.first_segment;
  enqueue(make_opening(end));
  return {};
}

void ShardLog::serve() {
  BOP_ASSERT_GE(head_, 1u);
  BOP_ASSERT_GT(recovery_.epoch, 0u);
  BOP_ASSERT_LE(durable_end_, next_position_);
  BOP_ASSERT_LE(written_first_segment_, head_);
  BOP_ASSERT(pins_.empty() || pins_.rbegin()->first <= head_);
  rewrite_budget_ = options_.max_bytes;
  const auto ready = [this] {
    if (!queue_.empty()) submit();  // the first frame may have waited for this segment
  };
  segments_.start({.ready = ready,
                   .failed = [this](const Error& error) { latch(error); },
                   .left = [this] { return uint64_t{blocks_left()} * block_bytes; }},
                  head_);
  segments_.release_below(written_first_segment_);
  segments_.want(head_ + 1);
}

}  // namespace bop::log

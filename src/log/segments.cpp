#include "log/segments.h"

#include <algorithm>
#include <cstring>
#include <span>
#include <utility>

#include "base/assert.h"
#include "log/block.h"
#include "log/seeded_bugs.h"
#include "mem/allocate.h"

namespace bop::log {
namespace {

constexpr size_t piece_bytes = 256 << 10;
constexpr size_t large_piece_bytes = 1 << 20;  // when the log needs the segment soon
constexpr Duration first_retry = 100 * milliseconds;
constexpr Duration longest_retry = 5 * seconds;
// So many released segments are kept for reuse; further ones are removed. Without them, groups that compact
// in bursts would cause new segments to be made each time, which writes as much as the log itself.
constexpr size_t released_kept = 4;

}  // namespace

Segments::Segments(port::FileSystem& files, std::string directory, const Options& options,
                   const port::Clock& clock, port::Timers& timers)
    : files_(files),
      directory_(std::move(directory)),
      options_(options),
      clock_(clock),
      retry_(timers.make_timer([this] { choose(); })),
      pause_(timers.make_timer([this] { fill_next_piece(); })),
      retry_after_(first_retry),
      pattern_(static_cast<uint8_t*>(mem::allocate_aligned(large_piece_bytes, block_bytes))) {}

Segments::~Segments() { mem::release(pattern_); }

port::FileOptions Segments::file_options() const {
  return {.direct = options_.direct, .synchronous = true};
}

// ---- before the log serves ----

Status Segments::remove_leftovers() {
  BOP_TRY_ASSIGN(const auto names, files_.list_now(directory_));
  const std::string leftover = temporary().substr(directory_.size() + 1);
  if (std::ranges::find(names, leftover) == names.end()) return {};
  BOP_TRY(files_.remove_now(temporary()));
  return files_.sync_directory_now(directory_);
}

Status Segments::make_now(uint32_t number) {
  auto options = file_options();
  options.create = true;
  options.reserve_bytes = options_.segment_bytes;
  BOP_TRY_ASSIGN(auto file, files_.open_now(temporary(), options));
  if (Status filled = fill_now(*file); !filled) {
    file.reset();
    BOP_TRY(files_.remove_now(temporary()));
    return filled;
  }
  BOP_TRY(files_.rename_now(temporary(), path(number)));
  file->renamed(path(number));
  BOP_TRY(files_.sync_directory_now(directory_));
  ++made_;
  adopt({number, options_.segment_bytes, std::move(file)});
  return {};
}

Status Segments::fill_now(port::File& file) {
  for (uint64_t offset = 0; offset < options_.segment_bytes; offset += large_piece_bytes) {
    const size_t size = std::min<uint64_t>(large_piece_bytes, options_.segment_bytes - offset);
    for (size_t at = 0; at < size; at += block_bytes) {
      fill_never_written(pattern_ + at, options_.log_id, offset + at);
    }
    BOP_TRY(file.write_now(offset, {pattern_, size}));
  }
  return file.sync_now();
}

void Segments::adopt(SegmentFile file) {
  used_bytes_ += file.size;
  const uint32_t number = file.number;
  BOP_ASSERT_GE(number, 1u);
  BOP_ASSERT(find(number) == nullptr);
  segments_[number] = std::make_shared<Segment>(Segment{number, file.size, std::move(file.file)});
}

// ---- which segments exist and which are wanted ----

std::shared_ptr<Segment> Segments::find(uint32_t number) const {
  const auto found = segments_.find(number);
  return found == segments_.end() ? nullptr : found->second;
}

void Segments::start(Owner owner, uint32_t head) {
  BOP_ASSERT(!owner_.ready);  // once
  BOP_ASSERT(owner.ready && owner.failed && owner.left);
  owner_ = std::move(owner);
  const uint32_t highest = segments_.empty() ? 0 : segments_.rbegin()->first;
  next_ = std::max(highest + 1, head);
}

void Segments::want(uint32_t number) {
  wanted_ = std::max(wanted_, number);
  choose();
}

void Segments::set_max_bytes(uint64_t bytes) {
  options_.max_bytes = bytes;
  choose();
}

void Segments::release_below(uint32_t number) {
  while (!segments_.empty() && segments_.begin()->first < number) {
    released_.push_back(std::move(segments_.begin()->second));
    segments_.erase(segments_.begin());
  }
  choose();
}

std::vector<std::shared_ptr<Segment>>::iterator Segments::reusable(uint64_t size) {
  return std::ranges::find_if(released_, [size](const std::shared_ptr<Segment>& segment) {
    return segment.use_count() == 1 && (size == 0 || segment->size == size);
  });
}

// ---- operations, one at a time ----

void Segments::choose() {
  if (step_ != Step::resting || stopped_ || !owner_.ready) return;
  if (unsynced_) return sync();
  if (used_bytes_ + options_.segment_bytes <= options_.max_bytes) overdraft_ = 0;
  if (overdrawn() && remove_released(0)) return;
  if (next_ > wanted_) {
    obstacle_ = overdrawn() ? BOP_E_LOG_FULL : BOP_OK;
    remove_released(released_kept);
    return;
  }
  // Machines share the disk and do not return space. On a nearly full disk, released segments are therefore
  // removed instead of reused, and the log waits for space.
  const auto free = files_.free_bytes();
  if (free && *free < options_.segment_bytes) {
    if (!remove_released(0)) try_later();
    return;
  }
  const auto released = reusable(options_.segment_bytes);
  if (released != released_.end()) return recycle(released);
  if (!within_limit()) {
    obstacle_ = BOP_E_LOG_FULL;  // until a segment is released
    remove_released(0);
    return;
  }
  step_ = Step::opening;
  used_bytes_ += options_.segment_bytes;
  auto options = file_options();
  options.create = true;
  options.reserve_bytes = options_.segment_bytes;
  files_.open(temporary(), options, opened_, *this);
}

bool Segments::within_limit() const {
  return used_bytes_ + options_.segment_bytes <= options_.max_bytes + overdraft_;
}

void Segments::overdraw() {
  // The previous one has not been made yet, or is no longer needed.
  if (overdraft_ > 0 && within_limit()) return;
  overdraft_ = used_bytes_ + options_.segment_bytes - std::min(options_.max_bytes, used_bytes_);
  choose();
}

void Segments::give_back(uint64_t bytes) {
  BOP_ASSERT_GE(used_bytes_, bytes);
  used_bytes_ -= bytes;
}

void Segments::recycle(std::vector<std::shared_ptr<Segment>>::iterator released) {
  making_ = std::move(*released);
  released_.erase(released);
  BOP_ASSERT_LT(making_->number, next_);  // its blocks become stale
  step_ = Step::renaming;
  files_.rename(path(making_->number), path(next_), *this);
}

bool Segments::remove_released(size_t kept) {
  if (released_.size() <= kept) return false;
  const auto released = reusable(0);
  if (released == released_.end()) return false;
  making_ = std::move(*released);
  released_.erase(released);
  step_ = Step::removing;
  files_.remove(path(making_->number), *this);
  return true;
}

void Segments::complete(Result<size_t> result) {
  const Step done = step_;
  if (stopped_) {
    step_ = Step::resting;
    return;
  }
  if (!result) return after_failure(result.error());
  BOP_ASSERT(done != Step::resting);  // an operation was under way
  switch (done) {
    case Step::resting: break;
    case Step::opening:
      filled_ = 0;
      left_at_first_ = owner_.left();
      step_ = Step::filling;
      fill_next_piece();
      break;
    case Step::filling:
      filled_ += *result;
      fill_after_pause();
      break;
    case Step::renaming:
    case Step::naming:
      making_->file->renamed(path(next_));
      sync();
      break;
    case Step::syncing: ready(); break;
    case Step::discarding:
    case Step::removing:
      give_back(done == Step::removing ? making_->size : options_.segment_bytes);
      making_.reset();
      step_ = Step::resting;
      if (done == Step::removing)
        choose();
      else
        try_later();
      break;
  }
}

void Segments::fill_after_pause() {
  if (filled_ == options_.segment_bytes || !ahead_of_log()) return fill_next_piece();
  pause_->arm(clock_.now() + (clock_.now() - piece_began_));
}

bool Segments::ahead_of_log() const {
  if (next_ < wanted_) return false;  // the log waits for it
  const uint64_t used = left_at_first_ - owner_.left();
  return filled_ * left_at_first_ >= 2 * used * options_.segment_bytes;
}

void Segments::fill_next_piece() {
  if (stopped_) {
    step_ = Step::resting;
    return;
  }
  if (filled_ == options_.segment_bytes) {
    step_ = Step::naming;
    making_ = std::make_shared<Segment>(Segment{next_, options_.segment_bytes, std::move(opened_)});
    files_.rename(temporary(), path(next_), *this);
    return;
  }
  const size_t most = ahead_of_log() ? piece_bytes : large_piece_bytes;
  const size_t size = std::min<uint64_t>(most, options_.segment_bytes - filled_);
  for (size_t at = 0; at < size; at += block_bytes) {
    fill_never_written(pattern_ + at, options_.log_id, filled_ + at);
  }
  BOP_ASSERT_LE(filled_ + size, options_.segment_bytes);
  const Bytes piece[] = {{pattern_, size}};
  piece_began_ = clock_.now();
  opened_->write(filled_, piece, *this);
}

void Segments::sync() {
  BOP_ASSERT(making_ != nullptr);
  unsynced_ = false;
  if (seeded(Bug::no_directory_sync)) return ready();
  step_ = Step::syncing;
  files_.sync_directory(directory_, *this);
}

void Segments::ready() {
  BOP_ASSERT(making_ != nullptr && making_->file != nullptr);
  BOP_ASSERT(find(next_) == nullptr);
  step_ = Step::resting;
  obstacle_ = overdrawn() ? BOP_E_LOG_FULL : BOP_OK;
  lacks_descriptor_ = false;
  retry_after_ = first_retry;
  ++made_;
  making_->number = next_;
  segments_[next_++] = std::move(making_);
  owner_.ready();
  choose();
}

void Segments::after_failure(const Error& error) {
  const bool no_space = error.code == BOP_E_DISK_FULL;
  // OVERLOADED: no descriptor was free, so the operation did not begin and can be retried.
  const bool not_begun = error.code == BOP_E_OVERLOADED;
  lacks_descriptor_ = not_begun;
  const Step failed = std::exchange(step_, Step::resting);
  if (failed == Step::syncing && not_begun) {
    unsynced_ = true;
    return retry_later();
  }
  if (failed == Step::opening && (not_begun || no_space)) {
    give_back(options_.segment_bytes);
    return no_space ? try_later() : retry_later();
  }
  if (failed == Step::filling && no_space) {
    opened_.reset();
    step_ = Step::discarding;
    return files_.remove(temporary(), *this);
  }
  stopped_ = true;
  owner_.failed(error);
}

void Segments::try_later() {
  obstacle_ = BOP_E_DISK_FULL;
  retry_later();
}

void Segments::retry_later() {
  retry_->arm(clock_.now() + retry_after_);
  retry_after_ = std::min(retry_after_ * 2, longest_retry);
}

void Segments::check() const {
  if (stopped_ || !owner_.ready) return;
  uint64_t bytes = 0;
  for (const auto& [number, segment] : segments_) {
    BOP_ASSERT_EQ(segment->number, number);
    BOP_ASSERT_LT(number, next_);
    bytes += segment->size;
  }
  for (const auto& released : released_) {
    BOP_ASSERT(find(released->number) == nullptr);
    bytes += released->size;
  }
  if (making_ != nullptr) bytes += making_->size;
  // A new file is counted from when it is opened, and becomes making_ when it is filled.
  const bool making_new =
      step_ == Step::opening || step_ == Step::filling || step_ == Step::discarding;
  if (making_new) bytes += options_.segment_bytes;
  BOP_ASSERT_EQ(bytes, used_bytes_);
  BOP_ASSERT_EQ(opened_ != nullptr, step_ == Step::filling);
}

}  // namespace bop::log

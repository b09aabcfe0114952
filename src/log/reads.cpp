#include "log/reads.h"

#include <algorithm>

#include "base/assert.h"
#include "log/block.h"
#include "log/record.h"
#include "log/seeded_bugs.h"
#include "mem/allocate.h"
#include "mem/buffer.h"

namespace bop::log {
namespace {

constexpr size_t jobs_at_once = 16;
constexpr size_t jobs_waiting = 4096;

// The blocks of a frame that contain a record.
struct BlockRange {
  uint32_t first;
  uint32_t count;
};

BlockRange blocks_of(const RecordLocation& location) {
  const uint32_t first = static_cast<uint32_t>(location.offset / block_stream_bytes);
  const uint32_t last =
      static_cast<uint32_t>((location.offset + location.bytes - 1) / block_stream_bytes);
  return {first, last - first + 1};
}

}  // namespace

class Reads::Job : public port::FileCompletion {
 public:
  Job(Reads& reads, GroupId group, Index first, size_t max_bytes, EntriesDone done)
      : reads_(reads), group_(group), next_(first), max_bytes_(max_bytes), done_(std::move(done)) {}
  ~Job() override { mem::release(memory_); }

  // Takes records from memory until one has to be read from its file.
  void start() {
    while (locate_next()) {
      if (located_.frame == nullptr) return read_file();
      if (!take_from_memory()) return;
    }
  }

  void complete(Result<size_t> result) override {
    const BlockRange range = blocks_of(located_.location);
    if (!result) return static_cast<void>(end(std::move(result).error()));
    if (*result != size_t{range.count} * block_bytes) {
      return static_cast<void>(end(damaged("the file is too short")));
    }
    mem::Block* block = mem::allocate_block(located_.location.bytes);
    const mem::Buffer record(block, block->data(), located_.location.bytes);
    if (!unpack(range, block->data())) {
      return static_cast<void>(end(damaged("a block is not the one that was written")));
    }
    if (take(record)) start();
  }

  void finish() { done_(std::move(outcome_)); }

 private:
  void reserve(size_t size) {
    if (size <= capacity_) return;
    mem::release(memory_);
    memory_ = static_cast<uint8_t*>(mem::allocate_aligned(size, block_bytes));
    capacity_ = size;
  }

  bool locate_next() {
    auto located = reads_.locate_(group_, next_);
    if (!located) {
      end(std::move(located).error());
      return false;
    }
    const bool replaced = started_ && located->truncations != located_.truncations;
    if (replaced && !seeded(Bug::read_replaced_entries)) {
      end(Error{BOP_E_UNAVAILABLE, "the entries were replaced meanwhile"});
      return false;
    }
    started_ = true;
    located_ = std::move(*located);
    return true;
  }

  void read_file() {
    BOP_ASSERT(located_.segment != nullptr);
    const BlockRange range = blocks_of(located_.location);
    const size_t size = size_t{range.count} * block_bytes;
    reserve(size);
    const uint64_t offset =
        offset_of(located_.location.frame) + uint64_t{range.first} * block_bytes;
    located_.segment->file->read(offset, {memory_, size}, *this);
  }

  bool take_from_memory() {
    mem::Block* block = mem::allocate_block(located_.location.bytes);
    const mem::Buffer record(block, block->data(), located_.location.bytes);
    located_.frame->copy_out(located_.location.offset, {block->data(), located_.location.bytes});
    return take(record);
  }

  // Checks the blocks and copies the record out of them.
  bool unpack(BlockRange range, uint8_t* into) {
    const RecordLocation& location = located_.location;
    size_t from = location.offset - size_t{range.first} * block_stream_bytes;
    size_t left = location.bytes;
    uint64_t number = 0;
    for (uint32_t i = 0; i < range.count; ++i) {
      const uint64_t offset = offset_of(location.frame) + uint64_t{range.first + i} * block_bytes;
      const Bytes block(memory_ + size_t{i} * block_bytes, block_bytes);
      const BlockFacts facts =
          inspect_block(block, reads_.log_id_, segment_of(location.frame), offset);
      if (seeded(Bug::read_without_checksum)) {
        const size_t piece = std::min(left, block_stream_bytes - from);
        copy_stream(block.data(), from, piece, into);
        into += piece;
        left -= piece;
        from = 0;
        continue;
      }
      if (facts.state != BlockState::written || facts.header.k != range.first + i) return false;
      if (i > 0 && facts.header.number != number) return false;
      number = facts.header.number;
      const size_t piece = std::min(left, block_stream_bytes - from);
      copy_stream(block.data(), from, piece, into);
      into += piece;
      left -= piece;
      from = 0;
    }
    return true;
  }

  // Adds the entries of the record that are wanted. False: the job ended.
  bool take(const mem::Buffer& record) {
    const RecordLocation& location = located_.location;
    RecordHeader header;
    if (!decode_header(record.bytes(), header) || header.group != group_) {
      return end(damaged("another record is at this position"));
    }
    // Sharing keeps the whole record in memory, so a small part of a large record is copied.
    const bool share = (location.last() - next_ + 1) * 4 >= header.count &&
                       (max_bytes_ - bytes_) * 4 >= record.size();
    EntryReader reader(record.bytes().subspan(record_header_bytes));
    EntryView view;
    while (next_ <= location.last() && reader.next(view)) {
      if (view.entry.index != next_) continue;
      raft::Entry& entry = view.entry;
      entry.payload = share ? record.slice(view.payload) : mem::Buffer::copy(view.payload);
      if (!entries_.empty() && bytes_ + entry.cost() > max_bytes_) return end_well();
      bytes_ += entry.cost();
      entries_.push_back(std::move(entry));
      ++next_;
    }
    if (next_ <= location.last()) return end(damaged("the record ends early"));
    return bytes_ < max_bytes_ || end_well();
  }

  Error damaged(const char* what) const {
    const Position position = located_.location.frame;
    const std::string name = reads_.directory_ + "/" + segment_name(segment_of(position));
    return {BOP_E_DAMAGED, reads_.files_.describe(name) + " at " +
                               std::to_string(offset_of(position)) + ": " + what};
  }

  bool end(Error error) {
    // The end of the group's log: the entries found so far are the result.
    if (error.code == BOP_E_NOT_FOUND && error.detail.empty() && !entries_.empty()) {
      return end_well();
    }
    outcome_ = std::unexpected(std::move(error));
    return leave();
  }
  bool end_well() {
    outcome_ = std::move(entries_);
    return leave();
  }
  bool leave() {
    reads_.post_.post([this, alive = std::weak_ptr<bool>(reads_.alive_)] {
      if (!alive.expired()) reads_.ended(this);
    });
    return false;
  }

  Reads& reads_;
  const GroupId group_;
  Index next_;
  const size_t max_bytes_;
  const EntriesDone done_;
  bool started_ = false;
  Located located_;
  Entries entries_;
  size_t bytes_ = 0;
  Result<Entries> outcome_;
  uint8_t* memory_ = nullptr;
  size_t capacity_ = 0;
};

Reads::Reads(uint64_t log_id, port::FileSystem& files, std::string directory, port::Post& post,
             Locate locate, std::function<void()> ended)
    : log_id_(log_id),
      files_(files),
      directory_(std::move(directory)),
      post_(post),
      locate_(std::move(locate)),
      ended_(std::move(ended)) {}

Reads::~Reads() = default;

void Reads::read(GroupId group, Index first, size_t max_bytes, EntriesDone done) {
  if (waiting_.size() >= jobs_waiting) {
    post_.post([done = std::move(done)] {
      done(fail(BOP_E_OVERLOADED, "too many reads of the log wait"));
    });
    return;
  }
  waiting_.push_back(std::make_unique<Job>(*this, group, first, max_bytes, std::move(done)));
  start_waiting();
}

void Reads::start_waiting() {
  while (running_.size() < jobs_at_once && !waiting_.empty()) {
    running_.push_back(std::move(waiting_.front()));
    waiting_.pop_front();
    running_.back()->start();
  }
}

void Reads::ended(Job* job) {
  const auto found =
      std::ranges::find_if(running_, [job](const auto& one) { return one.get() == job; });
  BOP_ASSERT(found != running_.end());  // a job ends once
  std::unique_ptr<Job> ended = std::move(*found);
  running_.erase(found);
  start_waiting();
  ended->finish();
  ended.reset();  // before ended_(), since its segment can be reused now
  ended_();
}

}  // namespace bop::log

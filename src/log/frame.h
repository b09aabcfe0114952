// A frame that gathers records: the memory of one write. It is filled with a stream of bytes, with gaps
// for the blocks' headers and the sectors' tags, which finish() fills in.
#pragma once

#include <algorithm>
#include <cstring>
#include <memory>
#include <vector>

#include "base/assert.h"
#include "base/time.h"
#include "log/block.h"
#include "mem/allocate.h"

namespace bop::log {

class Frame {
 public:
  explicit Frame(uint32_t capacity_blocks);
  Frame(const Frame&) = delete;
  Frame& operator=(const Frame&) = delete;

  // Makes it an empty frame, to be written at `position`, that may have up to `blocks` blocks.
  void begin(FrameKind kind, Position position, uint64_t number, uint32_t blocks, Instant now);

  FrameKind kind() const { return kind_; }
  Position position() const { return position_; }
  uint64_t number() const { return number_; }
  Instant begun() const { return begun_; }
  size_t size() const { return size_; }  // of the stream
  size_t remaining() const { return limit_ - size_; }
  uint32_t blocks() const;  // that the stream needs, at least 1
  Position end() const { return position_ + uint64_t{blocks()} * block_bytes; }

  void put(const uint8_t* from, size_t size) {
    BOP_ASSERT_LE(size, remaining());
    if (size == 0) return;  // then `from` may be nullptr
    size_ += size;
    while (size > left_) {
      std::memcpy(at_, from, left_);
      from += left_;
      size -= left_;
      next_sector();
    }
    std::memcpy(at_, from, size);
    at_ += size;
    left_ -= size;
  }
  // Overwrites bytes of the stream.
  void patch(size_t offset, Bytes bytes);
  void copy_out(size_t offset, std::span<uint8_t> into) const;

  // Completes every block and returns the bytes to write. `common` gives the fields that all blocks share:
  // log_id, epoch, durable_through, first_segment and segment_blocks.
  Bytes finish(const BlockHeader& common);

 private:
  struct Release {
    void operator()(uint8_t* memory) const { mem::release(memory); }
  };

  void next_sector();

  std::unique_ptr<uint8_t, Release> memory_;
  const uint32_t capacity_blocks_;
  FrameKind kind_ = FrameKind::data;
  Position position_ = 0;
  uint64_t number_ = 0;
  Instant begun_ = 0;
  size_t limit_ = 0;
  size_t size_ = 0;
  uint8_t* at_ = nullptr;  // where the next byte of the stream goes
  size_t left_ = 0;        // bytes from there to the sector's tag
};

}  // namespace bop::log

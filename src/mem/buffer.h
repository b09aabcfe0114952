// Buffer: a reference-counted, immutable slice of bytes.
//
// A payload is received once and then shared by the log, the peers and the machine; copying a
// Buffer copies a handle. Reference counts are not atomic: a block and all its handles stay on one shard's
// thread. Bytes for another thread are copied with Buffer::copy, or the only handle is moved there.
//
// A small slice keeps its whole block alive. A block is filled from front to back with bytes that arrive
// together, so its slices are usually released together too.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

#include "base/assert.h"
#include "base/bytes.h"

namespace bop::mem {

// The header of an allocation; `capacity` bytes follow it.
struct Block {
  uint32_t references;
  uint32_t capacity;

  uint8_t* data() { return reinterpret_cast<uint8_t*>(this + 1); }
};

Block* allocate_block(size_t capacity);  // with one reference; aborts when memory is exhausted
void free_block(Block* block);

class Buffer {
 public:
  Buffer() = default;
  // Takes over one reference of `block`.
  Buffer(Block* block, const uint8_t* data, size_t size)
      : block_(block), data_(data), size_(static_cast<uint32_t>(size)) {}
  Buffer(const Buffer& other) : block_(other.block_), data_(other.data_), size_(other.size_) {
    if (block_ != nullptr) ++block_->references;
  }
  Buffer(Buffer&& other) noexcept
      : block_(std::exchange(other.block_, nullptr)),
        data_(std::exchange(other.data_, nullptr)),
        size_(std::exchange(other.size_, 0)) {}
  Buffer& operator=(Buffer other) noexcept {
    std::swap(block_, other.block_);
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }
  ~Buffer() {
    if (block_ != nullptr && --block_->references == 0) free_block(block_);
  }

  static Buffer copy(Bytes bytes);

  const uint8_t* data() const { return data_; }
  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  Bytes bytes() const { return {data_, size_}; }

  // Shares the block.
  Buffer slice(size_t offset, size_t size) const {
    BOP_ASSERT(offset + size <= size_);
    if (block_ != nullptr) ++block_->references;
    return {block_, data_ + offset, size};
  }
  // The same, for bytes that lie within this buffer.
  Buffer slice(Bytes within) const {
    if (within.empty()) return {};
    return slice(static_cast<size_t>(within.data() - data_), within.size());
  }

 private:
  Block* block_ = nullptr;
  const uint8_t* data_ = nullptr;
  uint32_t size_ = 0;
};

// Cuts Buffers from larger blocks, so that building a message needs no allocation of its own.
class Arena {
 public:
  explicit Arena(size_t block_bytes = 64 * 1024) : block_bytes_(block_bytes) {}
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;
  ~Arena();

  // At least `size` writable bytes, valid until the next call of reserve.
  uint8_t* reserve(size_t size);
  // Returns the first `size` reserved bytes, which are immutable from now on.
  Buffer commit(size_t size);

  Buffer copy(Bytes bytes);

 private:
  const size_t block_bytes_;
  Block* block_ = nullptr;
  size_t used_ = 0;
};

}  // namespace bop::mem

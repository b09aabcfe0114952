#include "mem/buffer.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "mem/allocate.h"

namespace bop::mem {

Block* allocate_block(size_t capacity) {
  BOP_ASSERT_LE(capacity, std::numeric_limits<uint32_t>::max());
  auto* block = static_cast<Block*>(allocate(sizeof(Block) + capacity));
  block->references = 1;
  block->capacity = static_cast<uint32_t>(capacity);
  return block;
}

void free_block(Block* block) { release(block); }

Buffer Buffer::copy(Bytes bytes) {
  if (bytes.empty()) return {};
  Block* block = allocate_block(bytes.size());
  std::memcpy(block->data(), bytes.data(), bytes.size());
  return {block, block->data(), bytes.size()};
}

Arena::~Arena() {
  if (block_ != nullptr && --block_->references == 0) free_block(block_);
}

uint8_t* Arena::reserve(size_t size) {
  if (block_ != nullptr && block_->capacity - used_ >= size) return block_->data() + used_;
  // No Buffer refers to the block: its bytes can be reused from the front.
  if (block_ != nullptr && block_->references == 1 && block_->capacity >= size) {
    used_ = 0;
    return block_->data();
  }
  if (block_ != nullptr && --block_->references == 0) free_block(block_);
  block_ = allocate_block(std::max(size, block_bytes_));
  used_ = 0;
  return block_->data();
}

Buffer Arena::commit(size_t size) {
  BOP_ASSERT(block_ != nullptr);
  BOP_ASSERT_LE(size, block_->capacity - used_);
  const uint8_t* data = block_->data() + used_;
  used_ += size;
  ++block_->references;
  return {block_, data, size};
}

Buffer Arena::copy(Bytes bytes) {
  if (bytes.empty()) return {};
  std::memcpy(reserve(bytes.size()), bytes.data(), bytes.size());
  return commit(bytes.size());
}

}  // namespace bop::mem

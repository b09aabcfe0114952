#include "net/output.h"

#include <algorithm>
#include <cstring>

#include "base/assert.h"

namespace bop::net {

namespace {

constexpr size_t block_bytes = 16 * 1024 - sizeof(mem::Block);
constexpr size_t most_free_blocks = 64;

// Smaller buffers are copied: that is cheaper than one more piece in a system call.
constexpr size_t share_from_bytes = 1024;

// Freeing less than this is not worth a copy of what remains.
constexpr size_t trim_from_bytes = 64 * 1024;

}  // namespace

OutputBlocks::~OutputBlocks() {
  for (mem::Block* block : free_) mem::free_block(block);
}

mem::Block* OutputBlocks::take(size_t least_bytes) {
  if (least_bytes > block_bytes || free_.empty()) {
    return mem::allocate_block(std::max(least_bytes, block_bytes));
  }
  mem::Block* block = free_.back();
  free_.pop_back();
  return block;
}

void OutputBlocks::give_back(mem::Block* block) {
  if (block->references > 1) {
    --block->references;
  } else if (block->capacity == block_bytes && free_.size() < most_free_blocks) {
    free_.push_back(block);
  } else {
    mem::free_block(block);
  }
}

void Output::append(Bytes bytes) {
  if (bytes.empty()) return;
  std::memcpy(reserve(bytes.size()), bytes.data(), bytes.size());
  commit(bytes.size());
}

void Output::append(const mem::Buffer& buffer) {
  if (buffer.size() < share_from_bytes) {
    append(buffer.bytes());
    return;
  }
  close_gathered();
  pieces_.push_back(buffer);
  size_ += buffer.size();
}

uint8_t* Output::reserve(size_t size) {
  if (block_ == nullptr || block_->capacity - used_ < size) {
    close_gathered();
    if (block_ != nullptr) blocks_.give_back(block_);
    block_ = blocks_.take(size);
    gathered_from_ = used_ = 0;
  }
  return block_->data() + used_;
}

void Output::commit(size_t size) {
  BOP_ASSERT(block_ != nullptr);
  BOP_ASSERT_LE(size, block_->capacity - used_);
  used_ += size;
  size_ += size;
}

void Output::close_gathered() {
  if (gathered_bytes() == 0) return;
  ++block_->references;
  pieces_.emplace_back(block_, block_->data() + gathered_from_, gathered_bytes());
  gathered_from_ = used_;
}

size_t Output::gather(std::span<Bytes> pieces) const {
  size_t count = 0;
  for (size_t i = first_; i < pieces_.size() && count < pieces.size(); ++i) {
    pieces[count++] = pieces_[i].bytes();
  }
  if (count < pieces.size() && gathered_bytes() > 0) {
    pieces[count++] = {block_->data() + gathered_from_, gathered_bytes()};
  }
  return count;
}

void Output::consume(size_t size) {
  BOP_ASSERT_LE(size, size_);
  size_ -= size;
  if (size_ == 0) {
    clear();
    return;
  }
  for (; first_ < pieces_.size() && size > 0; ++first_) {
    mem::Buffer& piece = pieces_[first_];
    if (size < piece.size()) {
      piece = piece.slice(size, piece.size() - size);
      first_sent_ += size;
      size = 0;
      break;
    }
    size -= piece.size();
    piece = {};
    first_sent_ = 0;
  }
  gathered_from_ += size;
  // Removes sent pieces, so that the list stays short also when the output is never empty.
  if (first_ >= 64 && first_ >= pieces_.size() / 2) {
    pieces_.erase(pieces_.begin(), pieces_.begin() + static_cast<ptrdiff_t>(first_));
    first_ = 0;
  }
}

void Output::trim() {
  if (first_sent_ < trim_from_bytes || first_ == pieces_.size()) return;
  mem::Buffer& piece = pieces_[first_];
  if (first_sent_ <= piece.size()) return;
  piece = mem::Buffer::copy(piece.bytes());
  first_sent_ = 0;
}

void Output::clear() {
  pieces_.clear();
  first_ = first_sent_ = 0;
  if (block_ != nullptr) blocks_.give_back(block_);
  block_ = nullptr;
  gathered_from_ = used_ = 0;
  size_ = 0;
}

}  // namespace bop::net

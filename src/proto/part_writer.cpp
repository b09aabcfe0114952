#include "proto/part_writer.h"

#include <algorithm>
#include <cstring>

namespace bop::proto {

PartWriter::~PartWriter() {
  parts_.clear();
  if (block_ != nullptr && --block_->references == 0) mem::free_block(block_);
}

void PartWriter::begin() {
  parts_.clear();
  sealed_bytes_ = 0;
  // No Buffer refers to the block any more: it can be filled from its front again.
  if (block_ != nullptr && block_->references == 1) used_ = 0;
  start_ = used_;
}

void PartWriter::next_block(size_t size) {
  seal_part();
  if (block_ != nullptr && --block_->references == 0) mem::free_block(block_);
  block_ = mem::allocate_block(std::max(size, block_bytes_));
  start_ = used_ = 0;
}

uint8_t* PartWriter::reserve(size_t size) {
  if (block_ == nullptr || block_->capacity - used_ < size) next_block(size);
  uint8_t* at = block_->data() + used_;
  used_ += size;
  return at;
}

void PartWriter::bytes(Bytes bytes) {
  if (bytes.empty()) return;
  std::memcpy(reserve(bytes.size()), bytes.data(), bytes.size());
}

void PartWriter::buffer(const mem::Buffer& buffer) {
  if (buffer.size() < share_from_bytes) return bytes(buffer.bytes());
  seal_part();
  sealed_bytes_ += buffer.size();
  parts_.push_back(buffer);
}

void PartWriter::seal_part() {
  if (used_ == start_) return;
  BOP_ASSERT(block_ != nullptr);
  ++block_->references;
  parts_.emplace_back(block_, block_->data() + start_, used_ - start_);
  sealed_bytes_ += used_ - start_;
  start_ = used_;
}

std::span<const mem::Buffer> PartWriter::finish() {
  seal_part();
  return parts_;
}

}  // namespace bop::proto

#include "log/frame.h"

#include <limits>

namespace bop::log {
namespace {

// Where a byte of the stream is in the frame's memory.
struct Contiguous {
  size_t at;          // offset in the memory
  size_t contiguous;  // bytes from there to the next tag or header
};

Contiguous contiguous_at(size_t offset) {
  const size_t block = offset / block_stream_bytes * block_bytes;
  const size_t within = offset % block_stream_bytes;
  if (within < first_sector_stream_bytes) {
    return {block + block_header_bytes + within, first_sector_stream_bytes - within};
  }
  const size_t beyond = within - first_sector_stream_bytes;
  const size_t sector = 1 + beyond / sector_data_bytes;
  const size_t in_sector = beyond % sector_data_bytes;
  return {block + sector * sector_bytes + in_sector, sector_data_bytes - in_sector};
}

}  // namespace

Frame::Frame(uint32_t capacity_blocks)
    : memory_(static_cast<uint8_t*>(
          mem::allocate_aligned(size_t{capacity_blocks} * block_bytes, block_bytes))),
      capacity_blocks_(capacity_blocks) {
  BOP_ASSERT_LE(capacity_blocks, std::numeric_limits<uint16_t>::max());
}

void Frame::begin(FrameKind kind, Position position, uint64_t number, uint32_t blocks,
                  Instant now) {
  BOP_ASSERT(blocks > 0);
  BOP_ASSERT_LE(blocks, capacity_blocks_);
  kind_ = kind;
  position_ = position;
  number_ = number;
  begun_ = now;
  limit_ = size_t{blocks} * block_stream_bytes;
  size_ = 0;
  at_ = memory_.get() + block_header_bytes;
  left_ = first_sector_stream_bytes;
}

uint32_t Frame::blocks() const {
  return static_cast<uint32_t>(
      std::max<size_t>(1, (size_ + block_stream_bytes - 1) / block_stream_bytes));
}

void Frame::next_sector() {
  at_ += left_ + sector_tag_bytes;
  left_ = sector_data_bytes;
  if (static_cast<size_t>(at_ - memory_.get()) % block_bytes == 0) {
    at_ += block_header_bytes;
    left_ = first_sector_stream_bytes;
  }
}

void Frame::patch(size_t offset, Bytes bytes) {
  BOP_ASSERT_LE(offset + bytes.size(), size_);
  while (!bytes.empty()) {
    const Contiguous piece_at = contiguous_at(offset);
    const size_t piece = std::min(piece_at.contiguous, bytes.size());
    std::memcpy(memory_.get() + piece_at.at, bytes.data(), piece);
    bytes = bytes.subspan(piece);
    offset += piece;
  }
}

void Frame::copy_out(size_t offset, std::span<uint8_t> into) const {
  BOP_ASSERT_LE(offset + into.size(), size_);
  while (!into.empty()) {
    const Contiguous piece_at = contiguous_at(offset);
    const size_t piece = std::min(piece_at.contiguous, into.size());
    std::memcpy(into.data(), memory_.get() + piece_at.at, piece);
    into = into.subspan(piece);
    offset += piece;
  }
}

Bytes Frame::finish(const BlockHeader& common) {
  const uint32_t n = blocks();
  // The unused end of the last block is zeroed, so that no byte of an earlier frame is written again.
  for (size_t offset = size_; offset < size_t{n} * block_stream_bytes;) {
    const Contiguous piece_at = contiguous_at(offset);
    std::memset(memory_.get() + piece_at.at, 0, piece_at.contiguous);
    offset += piece_at.contiguous;
  }
  BlockHeader header = common;
  header.kind = kind_;
  header.number = number_;
  header.n = static_cast<uint16_t>(n);
  for (uint32_t k = 0; k < n; ++k) {
    const size_t before = size_t{k} * block_stream_bytes;
    header.k = static_cast<uint16_t>(k);
    header.position = position_ + uint64_t{k} * block_bytes;
    header.used =
        static_cast<uint16_t>(std::min(block_stream_bytes, size_ - std::min(size_, before)));
    finish_block(memory_.get() + size_t{k} * block_bytes, header);
  }
  return {memory_.get(), size_t{n} * block_bytes};
}

}  // namespace bop::log

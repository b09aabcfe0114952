// Builds one frame as a gather list: small pieces are copied into blocks, large Buffers are shared.
//
// The next frames continue in the same block, so most frames need no allocation.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/bytes.h"
#include "mem/buffer.h"

namespace bop::proto {

// Smaller payloads are copied into the frame: another part would cost more than the copy.
inline constexpr size_t share_from_bytes = 1024;

class PartWriter {
 public:
  explicit PartWriter(size_t block_bytes = 64 * 1024) : block_bytes_(block_bytes) {}
  ~PartWriter();
  PartWriter(const PartWriter&) = delete;
  PartWriter& operator=(const PartWriter&) = delete;

  // Begins a new frame and drops the previous one, finished or not.
  void begin();

  // Appends `size` contiguous bytes for the caller to write. They stay writable until finish().
  uint8_t* reserve(size_t size);
  void bytes(Bytes bytes);
  // Shares a large buffer, copies a small one.
  void buffer(const mem::Buffer& buffer);

  size_t size() const { return sealed_bytes_ + (used_ - start_); }

  // The parts, in order; valid until begin().
  std::span<const mem::Buffer> finish();

 private:
  void seal_part();
  void next_block(size_t size);

  const size_t block_bytes_;
  mem::Block* block_ = nullptr;
  size_t start_ = 0;         // of the part that is being written, in block_
  size_t used_ = 0;          // bytes of block_
  size_t sealed_bytes_ = 0;  // of all parts_
  std::vector<mem::Buffer> parts_;
};

}  // namespace bop::proto

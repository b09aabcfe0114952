// Builds one frame as a gather list: what is small is written into blocks of its own, what is large
// and already in a Buffer is shared as it is.
//
// Blocks go on being filled by the next frames, so building one costs no allocation of its own.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/bytes.h"
#include "mem/buffer.h"

namespace bop::proto {

// Payloads below this are copied into a frame: a part of its own costs more than the copy.
inline constexpr size_t share_from_bytes = 1024;

class PartWriter {
 public:
  explicit PartWriter(size_t block_bytes = 64 * 1024) : block_bytes_(block_bytes) {}
  ~PartWriter();
  PartWriter(const PartWriter&) = delete;
  PartWriter& operator=(const PartWriter&) = delete;

  // Drops what finish() gave and what was not finished.
  void begin();

  // `size` contiguous bytes, to be written at once. They stay writable until finish().
  uint8_t* reserve(size_t size);
  void bytes(Bytes bytes);
  // Shares large buffers, copies small ones.
  void buffer(const mem::Buffer& buffer);

  size_t size() const { return sealed_bytes_ + (used_ - start_); }

  // The parts, in order; valid until begin().
  std::span<const mem::Buffer> finish();

 private:
  void seal_part();
  void next_block(size_t size);

  const size_t block_bytes_;
  mem::Block* block_ = nullptr;
  size_t start_ = 0;  // of the part that is being written, in block_
  size_t used_ = 0;
  size_t sealed_bytes_ = 0;
  std::vector<mem::Buffer> parts_;
};

}  // namespace bop::proto

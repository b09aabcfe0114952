// The unsent bytes of a connection, in order: small pieces are copied into blocks, large Buffers are shared.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/bytes.h"
#include "mem/buffer.h"

namespace bop::net {

// Free blocks, reused by the next connection while they are in the processor's cache.
class OutputBlocks {
 public:
  OutputBlocks() = default;
  OutputBlocks(const OutputBlocks&) = delete;
  OutputBlocks& operator=(const OutputBlocks&) = delete;
  ~OutputBlocks();

  mem::Block* take(size_t least_bytes);
  // Gives one reference back. A block of the usual size is kept when this was the last reference.
  void give_back(mem::Block* block);

 private:
  std::vector<mem::Block*> free_;
};

class Output {
 public:
  explicit Output(OutputBlocks& blocks) : blocks_(blocks) {}
  Output(const Output&) = delete;
  Output& operator=(const Output&) = delete;
  ~Output() { clear(); }

  void append(Bytes bytes);
  void append(const mem::Buffer& buffer);
  uint8_t* reserve(size_t size);
  void commit(size_t size);

  size_t size() const { return size_; }
  // size(), the part of the first piece that was sent, and the unused part of the block that is being filled.
  size_t memory_bytes() const {
    return size_ + first_sent_ + (block_ != nullptr ? block_->capacity - used_ : 0);
  }
  bool empty() const { return size_ == 0; }

  // Fills `pieces` with the first unsent pieces and returns their number.
  size_t gather(std::span<Bytes> pieces) const;
  void consume(size_t size);
  // Frees the block of a large piece of which more than half was sent.
  void trim();
  void clear();

 private:
  void close_gathered();
  size_t gathered_bytes() const { return used_ - gathered_from_; }

  OutputBlocks& blocks_;
  std::vector<mem::Buffer> pieces_;  // unsent from first_ on
  size_t first_ = 0;
  size_t first_sent_ = 0;        // bytes of that piece; its block is kept until all of it is sent
  mem::Block* block_ = nullptr;  // its bytes [gathered_from_, used_) follow the pieces
  size_t gathered_from_ = 0;
  size_t used_ = 0;
  size_t size_ = 0;
};

}  // namespace bop::net

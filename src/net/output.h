// The unsent bytes of a connection, in order: small pieces are copied into blocks, large ones shared.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/bytes.h"
#include "mem/buffer.h"

namespace bop::net {

// Free blocks, passed from one connection to the next while they are in the cache.
class OutputBlocks {
 public:
  OutputBlocks() = default;
  OutputBlocks(const OutputBlocks&) = delete;
  OutputBlocks& operator=(const OutputBlocks&) = delete;
  ~OutputBlocks();

  mem::Block* take(size_t least_bytes);
  // One reference of it; kept when it is the last, and of the usual size.
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
  // With the unused part of the block that is being filled.
  size_t memory_bytes() const { return size_ + (block_ != nullptr ? block_->capacity - used_ : 0); }
  bool empty() const { return size_ == 0; }

  // The first pieces, at most as many as fit; how many.
  size_t gather(std::span<Bytes> pieces) const;
  void consume(size_t size);
  void clear();

 private:
  void close_gathered();
  size_t gathered_bytes() const { return used_ - gathered_from_; }

  OutputBlocks& blocks_;
  std::vector<mem::Buffer> pieces_;  // from first_ on
  size_t first_ = 0;
  mem::Block* block_ = nullptr;  // the bytes [gathered_from_, used_) follow the pieces
  size_t gathered_from_ = 0;
  size_t used_ = 0;
  size_t size_ = 0;
};

}  // namespace bop::net

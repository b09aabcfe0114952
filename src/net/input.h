// The bytes that a connection received and its handler has not consumed, always contiguous.
//
//   block: [ consumed, perhaps still shared by Buffers | unread | free: the next read goes here ]
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/result.h"
#include "mem/buffer.h"
#include "net/stream.h"

namespace bop::net {

class Input {
 public:
  explicit Input(const StreamLimits& limits);
  Input(const Input&) = delete;
  Input& operator=(const Input&) = delete;
  ~Input();

  // The memory for the next read, never empty. Moves the unread bytes to another block when this one is
  // full. TOO_LARGE: the message exceeds max_message_bytes.
  Result<std::span<uint8_t>> space();
  void received(size_t size);

  // The unread bytes, sharing the block.
  mem::Buffer unread() const;
  size_t unread_bytes() const { return end_ - begin_; }
  // Whether there are enough unread bytes for the handler to continue.
  bool ready() const { return unread_bytes() > 0 && unread_bytes() >= wanted_; }
  void consume(Consumed consumed);

  void clear();

 private:
  size_t wanted_space() const;
  void move_to(mem::Block* block);

  const StreamLimits& limits_;
  mem::Block* block_ = nullptr;
  size_t begin_ = 0;
  size_t end_ = 0;
  size_t wanted_ = 0;      // unread bytes that the handler needs to continue
  size_t next_block_ = 0;  // size of the next block, in bytes: follows the size of recent reads
};

}  // namespace bop::net

// The bytes that a connection received and its handler has not consumed, always contiguous.
//
//   block: [ consumed, maybe still shared | unread | free: the next read goes here ]
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

  // Where the next read goes; not empty. TOO_LARGE when what is wanted is over the limit. Moves the
  // unread bytes to another block when this one is full.
  Result<std::span<uint8_t>> space();
  void received(size_t size);

  // Shares the block.
  mem::Buffer unread() const;
  size_t unread_bytes() const { return end_ - begin_; }
  // There are enough for the handler to go on.
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
  size_t wanted_ = 0;      // unread bytes the handler cannot go on without
  size_t next_block_ = 0;  // bytes of the next block, by what the last reads brought
};

}  // namespace bop::net

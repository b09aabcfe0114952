#include "net/input.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <string>

#include "base/assert.h"

namespace bop::net {

namespace {

// A block holds about this many reads, so that an idle connection keeps little memory and a busy one allocates
// rarely.
constexpr size_t reads_per_block = 4;

// With its header, such a block fills an allocation of a power of two.
size_t capacity_of(size_t allocation) { return allocation - sizeof(mem::Block); }

void release(mem::Block* block) {
  if (block != nullptr && --block->references == 0) mem::free_block(block);
}

}  // namespace

Input::Input(const StreamLimits& limits) : limits_(limits), next_block_(limits.first_block_bytes) {}

Input::~Input() { clear(); }

void Input::clear() {
  release(block_);
  block_ = nullptr;
  begin_ = end_ = wanted_ = 0;
}

// How much space the next read needs: as much as the last one, or the end of a block would cut it in two, and what
// was cut off would be executed and replied to on its own. All that the handler wants is reserved at once only for a trusted
// peer: otherwise a length field alone could make this side allocate a large block.
size_t Input::wanted_space() const {
  const size_t unread = unread_bytes();
  const size_t least_space = next_block_ / reads_per_block;
  if (wanted_ <= unread) return least_space;
  const size_t missing = wanted_ - unread;
  return limits_.trust_wanted ? missing : std::min(missing, std::max(unread, least_space));
}

Result<std::span<uint8_t>> Input::space() {
  const size_t unread = unread_bytes();
  if (wanted_ > limits_.max_message_bytes || unread >= limits_.max_message_bytes) {
    return fail(BOP_E_TOO_LARGE, "a message of " + std::to_string(std::max(wanted_, unread)) +
                                     " bytes or more; the limit is " +
                                     std::to_string(limits_.max_message_bytes));
  }
  const bool own = block_ != nullptr && block_->references == 1;
  if (own && unread == 0) {
    begin_ = end_ = 0;
    // A block that was made for a large message is not kept.
    if (block_->capacity > limits_.block_bytes) clear();
  }
  const size_t space = wanted_space();
  if (block_ == nullptr || block_->capacity - end_ < space) {
    if (own && block_ != nullptr && block_->capacity >= unread + space) {
      std::memmove(block_->data(), block_->data() + begin_, unread);
      begin_ = 0;
      end_ = unread;
    } else {
      move_to(mem::allocate_block(std::max(capacity_of(next_block_), unread + space)));
    }
  }
  return std::span(block_->data() + end_, block_->capacity - end_);
}

void Input::move_to(mem::Block* block) {
  const size_t unread = unread_bytes();
  if (unread > 0) std::memcpy(block->data(), block_->data() + begin_, unread);
  release(block_);
  block_ = block;
  begin_ = 0;
  end_ = unread;
}

void Input::received(size_t size) {
  end_ += size;
  BOP_ASSERT_LE(end_, block_->capacity);
  next_block_ = std::clamp(std::bit_ceil(reads_per_block * size), limits_.first_block_bytes,
                           limits_.block_bytes);
}

mem::Buffer Input::unread() const {
  ++block_->references;
  return {block_, block_->data() + begin_, unread_bytes()};
}

void Input::consume(Consumed consumed) {
  BOP_ASSERT_LE(consumed.bytes, unread_bytes());
  begin_ += consumed.bytes;
  wanted_ = consumed.wanted;
}

}  // namespace bop::net

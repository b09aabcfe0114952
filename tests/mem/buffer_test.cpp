#include "mem/buffer.h"

#include <gtest/gtest.h>

#include "mem/allocate.h"

namespace bop::mem {
namespace {

TEST(Buffer, a_copy_shares_its_block_and_outlives_the_original) {
  Buffer copy;
  {
    Buffer original = Buffer::copy(as_bytes("payload"));
    copy = original;
    EXPECT_EQ(copy.data(), original.data());
  }
  EXPECT_EQ(as_text(copy.bytes()), "payload");
}

TEST(Buffer, a_slice_shows_its_part_of_the_block) {
  const Buffer whole = Buffer::copy(as_bytes("key=value"));
  const Buffer value = whole.slice(4, 5);
  EXPECT_EQ(as_text(value.bytes()), "value");
  EXPECT_EQ(value.data(), whole.data() + 4);
  EXPECT_EQ(whole.slice(value.bytes()).data(), value.data());
}

TEST(BufferDeathTest, a_slice_past_the_end_is_our_bug) {
  const Buffer whole = Buffer::copy(as_bytes("abc"));
  EXPECT_DEATH((void)whole.slice(2, 2), "offset");
}

TEST(Buffer, a_copy_of_no_bytes_has_no_block) {
  const Buffer empty = Buffer::copy({});
  EXPECT_TRUE(empty.empty());
  EXPECT_EQ(empty.data(), nullptr);
}

TEST(Arena, buffers_of_one_block_follow_each_other) {
  Arena arena(1024);
  const Buffer first = arena.copy(as_bytes("one"));
  const Buffer second = arena.copy(as_bytes("two"));
  EXPECT_EQ(second.data(), first.data() + 3);
  EXPECT_EQ(as_text(first.bytes()), "one");
  EXPECT_EQ(as_text(second.bytes()), "two");
}

TEST(Arena, a_block_is_reused_only_without_other_references) {
  Arena arena(64);
  Buffer held = arena.copy(as_bytes("held"));
  (void)arena.copy(Bytes(std::vector<uint8_t>(60, 'x')));
  const Buffer next = arena.copy(as_bytes("next"));
  EXPECT_EQ(as_text(held.bytes()), "held");
  EXPECT_EQ(as_text(next.bytes()), "next");
}

TEST(Arena, a_request_larger_than_a_block_gets_one_of_its_own) {
  Arena arena(64);
  const std::vector<uint8_t> large(1000, 'y');
  const Buffer buffer = arena.copy(large);
  EXPECT_EQ(buffer.size(), 1000u);
  EXPECT_EQ(buffer.bytes()[999], 'y');
}

TEST(Allocate, aligned_memory_is_aligned) {
  void* memory = allocate_aligned(10000, 4096);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(memory) % 4096, 0u);
  release(memory);
}

TEST(Allocate, releasing_nullptr_is_allowed) { release(nullptr); }

}  // namespace
}  // namespace bop::mem

#include "log/block.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <vector>

#include "log/frame.h"

namespace bop::log {
namespace {

constexpr uint64_t log_id = 42;
constexpr uint32_t segment = 7;
constexpr uint64_t offset = 3 * block_bytes;

using Block = std::array<uint8_t, block_bytes>;

Block make_block(uint32_t epoch, uint64_t number, uint32_t in_segment = segment,
                 uint64_t at = offset, uint64_t id = log_id) {
  Block block{};
  for (size_t i = 0; i < block.size(); ++i) block[i] = static_cast<uint8_t>(i * 7 + number);
  BlockHeader header;
  header.log_id = id;
  header.position = make_position(in_segment, at);
  header.durable_through = make_position(in_segment, 4096);
  header.number = number;
  header.epoch = epoch;
  header.k = 1;
  header.n = 2;
  header.first_segment = 5;
  header.segment_blocks = 64;
  header.used = 100;
  finish_block(block.data(), header);
  return block;
}

BlockState state_of(const Block& block) {
  return inspect_block(block, log_id, segment, offset).state;
}

TEST(Block, gives_back_the_header_and_stream_that_were_written) {
  const Block block = make_block(3, 99);
  const BlockFacts facts = inspect_block(block, log_id, segment, offset);
  EXPECT_EQ(facts.state, BlockState::written);
  EXPECT_EQ(facts.header.number, 99u);
  EXPECT_EQ(facts.header.epoch, 3u);
  EXPECT_EQ(facts.header.k, 1u);
  EXPECT_EQ(facts.header.n, 2u);
  EXPECT_EQ(facts.header.durable_through, make_position(segment, 4096));
  EXPECT_EQ(facts.header.first_segment, 5u);
  EXPECT_EQ(facts.header.segment_blocks, 64u);
  EXPECT_EQ(facts.header.used, 100u);
  EXPECT_EQ(facts.newest_epoch, 3u);
}

TEST(Block, is_unsound_when_any_bit_of_it_flips) {
  Block block = make_block(3, 99);
  for (size_t bit = 0; bit < block_bytes * 8; ++bit) {
    block[bit / 8] ^= static_cast<uint8_t>(1u << (bit % 8));
    ASSERT_EQ(state_of(block), BlockState::unsound) << bit;
    block[bit / 8] ^= static_cast<uint8_t>(1u << (bit % 8));
  }
}

TEST(Block, a_pattern_is_never_written_only_when_it_is_exact) {
  Block block;
  fill_never_written(block.data(), log_id, offset);
  EXPECT_EQ(state_of(block), BlockState::never_written);
  for (size_t byte = 0; byte < block_bytes; ++byte) {
    block[byte] ^= 1;
    ASSERT_EQ(state_of(block), BlockState::unsound) << byte;
    block[byte] ^= 1;
  }
  EXPECT_EQ(inspect_block(block, log_id, segment, offset + block_bytes).state, BlockState::unsound);
  // Other content with valid checksums is not the pattern.
  block[100] ^= 1;
  BlockHeader header;
  header.kind = FrameKind::never_written;
  header.log_id = log_id;
  header.position = make_position(0, offset);
  finish_block(block.data(), header);
  EXPECT_EQ(state_of(block), BlockState::unsound);
}

TEST(Block, of_an_earlier_segment_is_stale_and_of_a_later_one_unsound) {
  EXPECT_EQ(state_of(make_block(3, 99, segment - 1)), BlockState::stale);
  EXPECT_EQ(state_of(make_block(3, 99, segment + 1)), BlockState::unsound);
  EXPECT_EQ(state_of(make_block(3, 99, segment, offset + block_bytes)), BlockState::unsound);
}

TEST(Block, of_another_log_or_format_is_told_from_damage) {
  EXPECT_EQ(state_of(make_block(3, 99, segment, offset, log_id + 1)), BlockState::foreign);
  for (const bool newer : {true, false}) {
    Block block = make_block(3, 99);
    BlockHeader header;
    header.version = newer ? format_version + 1 : format_version - 1;
    header.log_id = log_id;
    header.position = make_position(segment, offset);
    finish_block(block.data(), header);
    EXPECT_EQ(state_of(block), newer ? BlockState::newer : BlockState::older);
  }
}

TEST(Block, of_sectors_from_two_writes_is_mixed_whichever_they_are) {
  Block never_written;
  fill_never_written(never_written.data(), log_id, offset);
  const Block fresh = make_block(5, 99);
  for (const Block& old : {never_written, make_block(4, 98), make_block(4, 98, segment - 1)}) {
    for (unsigned sectors = 1; sectors < 255; ++sectors) {
      Block block = old;
      for (size_t s = 0; s < sectors_per_block; ++s) {
        if ((sectors >> s & 1) == 0) continue;
        std::copy_n(fresh.begin() + static_cast<long>(s * sector_bytes), sector_bytes,
                    block.begin() + static_cast<long>(s * sector_bytes));
      }
      const BlockFacts facts = inspect_block(block, log_id, segment, offset);
      ASSERT_EQ(facts.state, BlockState::mixed) << sectors;
      ASSERT_EQ(facts.newest_epoch, 5u);
    }
  }
}

TEST(Frame, gives_back_the_stream_that_was_put_into_it) {
  for (const size_t size : {0u, 1u, 439u, 440u, 441u, 3939u, 3940u, 3941u, 20000u, 39400u}) {
    std::vector<uint8_t> stream(size);
    for (size_t i = 0; i < size; ++i) stream[i] = static_cast<uint8_t>(i * 13 + 5);
    Frame frame(10);
    frame.begin(FrameKind::data, make_position(segment, offset), 99, 10, 0);
    for (size_t at = 0; at < size;) {  // in uneven pieces
      const size_t piece = std::min<size_t>(at % 701 + 1, size - at);
      frame.put(stream.data() + at, piece);
      at += piece;
    }
    ASSERT_EQ(frame.size(), size);
    std::vector<uint8_t> out(size);
    frame.copy_out(0, out);
    EXPECT_EQ(out, stream);

    BlockHeader common;
    common.log_id = log_id;
    common.epoch = 3;
    common.first_segment = 1;
    const Bytes bytes = frame.finish(common);
    ASSERT_EQ(bytes.size(), frame.blocks() * block_bytes);
    std::vector<uint8_t> unpacked;
    for (size_t k = 0; k < frame.blocks(); ++k) {
      const Bytes block = bytes.subspan(k * block_bytes, block_bytes);
      const BlockFacts facts = inspect_block(block, log_id, segment, offset + k * block_bytes);
      ASSERT_EQ(facts.state, BlockState::written);
      EXPECT_EQ(facts.header.k, k);
      EXPECT_EQ(facts.header.n, frame.blocks());
      const size_t before = unpacked.size();
      unpacked.resize(before + facts.header.used);
      copy_stream(block.data(), 0, facts.header.used, unpacked.data() + before);
    }
    EXPECT_EQ(unpacked, stream);
  }
}

TEST(Frame, patches_bytes_across_sectors_and_blocks) {
  Frame frame(4);
  frame.begin(FrameKind::data, make_position(1, 0), 1, 4, 0);
  std::vector<uint8_t> stream(9000, 1);
  frame.put(stream.data(), stream.size());
  const std::vector<uint8_t> patch(100, 2);
  for (const size_t at : {0u, 390u, 3900u, 8900u}) {
    frame.patch(at, patch);
    std::ranges::fill_n(stream.begin() + static_cast<long>(at), 100, 2);
  }
  std::vector<uint8_t> out(9000);
  frame.copy_out(0, out);
  EXPECT_EQ(out, stream);
}

}  // namespace
}  // namespace bop::log

#include "proto/frame.h"

#include <gtest/gtest.h>

#include "base/random.h"
#include "bytes.h"
#include "proto/part_writer.h"

namespace bop::proto {
namespace {

constexpr uint32_t magic = 0x31323334;
constexpr FrameFormat format{magic, 16, 1 << 20};

mem::Buffer make_frame(std::string_view body) {
  PartWriter writer;
  writer.begin();
  uint8_t* front = writer.reserve(16);
  store_le<uint32_t>(front + 12, static_cast<uint32_t>(body.size()));
  writer.bytes(as_bytes(body));
  const auto parts = writer.finish();
  seal_frame(magic, front, parts);
  return join(parts);
}

TEST(ClusterIds, are_written_as_32_hexadecimal_digits_and_read_back) {
  ClusterId cluster{};
  for (size_t i = 0; i < cluster.size(); ++i) cluster[i] = static_cast<uint8_t>(i * 17);
  const std::string digits = to_hex(cluster);
  EXPECT_EQ(digits, "00112233445566778899aabbccddeeff");
  EXPECT_EQ(cluster_from_hex(digits).value(), cluster);
  EXPECT_EQ(cluster_from_hex(digits.substr(1)).error().code, BOP_E_PROTOCOL);
  EXPECT_EQ(cluster_from_hex("g0112233445566778899aabbccddeeff").error().code, BOP_E_PROTOCOL);
}

TEST(FrameSplitter, finds_the_same_frames_however_the_stream_is_split) {
  std::vector<std::string> bodies{"", "a", std::string(100, 'b'), std::string(70'000, 'c'), "d"};
  std::string stream;
  for (const auto& body : bodies) stream += text(make_frame(body));

  Random random(1);
  for (int round = 0; round < 200; ++round) {
    FrameSplitter splitter(format);
    std::vector<mem::Buffer> frames;
    const uint64_t largest = random.chance(1, 2) ? 20 : 80'000;
    for (size_t at = 0; at < stream.size();) {
      const size_t size = std::min<size_t>(1 + random.below(largest), stream.size() - at);
      ASSERT_TRUE(splitter.push(buffer(stream.substr(at, size)), frames));
      at += size;
    }
    ASSERT_EQ(frames.size(), bodies.size());
    for (size_t i = 0; i < frames.size(); ++i) {
      ASSERT_EQ(text(frames[i]), text(make_frame(bodies[i])));
      ASSERT_TRUE(open_frame(format, frames[i].bytes()));
    }
    EXPECT_EQ(splitter.pending_bytes(), 0u);
  }
}

TEST(FrameSplitter, shares_the_bytes_of_a_frame_that_arrived_whole) {
  const mem::Buffer received = buffer(text(make_frame("one")) + text(make_frame("two")));
  FrameSplitter splitter(format);
  std::vector<mem::Buffer> frames;
  ASSERT_TRUE(splitter.push(received, frames));
  ASSERT_EQ(frames.size(), 2u);
  EXPECT_EQ(frames[0].data(), received.data());
  EXPECT_EQ(frames[1].data(), received.data() + frames[0].size());
}

TEST(FrameSplitter, refuses_another_protocol_at_its_first_wrong_byte) {
  FrameSplitter splitter(format);
  std::vector<mem::Buffer> frames;
  const auto status = splitter.push(buffer("G"), frames);
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, BOP_E_PROTOCOL);
}

TEST(FrameSplitter, refuses_a_size_over_the_limit_before_it_waits_for_the_bytes) {
  std::vector<uint8_t> start;
  Writer writer(start);
  writer.u32(magic);
  writer.u32(format.max_bytes + 1);
  FrameSplitter splitter(format);
  std::vector<mem::Buffer> frames;
  const auto status = splitter.push(mem::Buffer::copy(start), frames);
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, BOP_E_TOO_LARGE);
}

TEST(FrameSplitter, refuses_a_size_that_cannot_hold_a_header) {
  std::vector<uint8_t> start;
  Writer writer(start);
  writer.u32(magic);
  writer.u32(15);
  FrameSplitter splitter(format);
  std::vector<mem::Buffer> frames;
  EXPECT_EQ(splitter.push(mem::Buffer::copy(start), frames).error().code, BOP_E_PROTOCOL);
}

TEST(FrameSplitter, keeps_the_frames_before_an_error) {
  FrameSplitter splitter(format);
  std::vector<mem::Buffer> frames;
  EXPECT_FALSE(splitter.push(buffer(text(make_frame("one")) + "garbage"), frames));
  EXPECT_EQ(frames.size(), 1u);
}

TEST(Frame, every_flipped_bit_is_detected) {
  const mem::Buffer frame = make_frame("some body");
  ASSERT_TRUE(open_frame(format, frame.bytes()));
  for (size_t bit = 0; bit < frame.size() * 8; ++bit) {
    std::string altered = text(frame);
    altered[bit / 8] = static_cast<char>(altered[bit / 8] ^ (1 << (bit % 8)));
    EXPECT_FALSE(open_frame(format, as_bytes(altered))) << "bit " << bit;
  }
}

TEST(PartWriter, shares_large_buffers_and_copies_small_ones) {
  PartWriter writer;
  writer.begin();
  const mem::Buffer large = buffer(std::string(share_from_bytes, 'x'));
  const mem::Buffer small = buffer("small");
  writer.bytes(as_bytes("head"));
  writer.buffer(small);
  writer.buffer(large);
  writer.bytes(as_bytes("tail"));
  EXPECT_EQ(writer.size(), 4 + 5 + share_from_bytes + 4);
  const auto parts = writer.finish();
  ASSERT_EQ(parts.size(), 3u);
  EXPECT_EQ(text(parts[0]), "headsmall");
  EXPECT_EQ(parts[1].data(), large.data());
  EXPECT_EQ(text(parts[2]), "tail");
}

TEST(PartWriter, leaves_finished_parts_alone_when_the_next_frame_is_written) {
  PartWriter writer(64);
  std::vector<mem::Buffer> kept;
  for (int i = 0; i < 100; ++i) {
    writer.begin();
    writer.bytes(as_bytes(std::to_string(i) + " of many"));
    kept.push_back(join(writer.finish()));
    const auto parts = writer.finish();
    kept.back() = parts.front();
  }
  for (int i = 0; i < 100; ++i) EXPECT_EQ(text(kept[i]), std::to_string(i) + " of many");
}

}  // namespace
}  // namespace bop::proto

#include "base/bytes.h"

#include <gtest/gtest.h>

#include <limits>
#include <vector>

namespace bop {
namespace {

TEST(Bytes, are_stored_with_the_lowest_byte_first) {
  uint8_t bytes[8] = {};
  store_le<uint32_t>(bytes, 0x01020304);
  EXPECT_EQ(bytes[0], 4);
  EXPECT_EQ(bytes[3], 1);
  EXPECT_EQ(load_le<uint32_t>(bytes), 0x01020304u);
}

TEST(Bytes, need_no_alignment) {
  uint8_t bytes[16] = {};
  for (size_t offset = 0; offset < 8; ++offset) {
    store_le<uint64_t>(bytes + offset, 0x1122334455667788u);
    EXPECT_EQ(load_le<uint64_t>(bytes + offset), 0x1122334455667788u);
  }
}

TEST(Reader, reads_back_what_a_writer_wrote) {
  std::vector<uint8_t> out;
  Writer writer(out);
  writer.u8(7);
  writer.u16(65535);
  writer.u32(1u << 31);
  writer.u64(std::numeric_limits<uint64_t>::max());
  writer.i64(std::numeric_limits<int64_t>::min());
  writer.bytes(as_bytes("tail"));
  EXPECT_EQ(writer.size(), 1u + 2 + 4 + 8 + 8 + 4);

  Reader reader(out);
  EXPECT_EQ(reader.u8(), 7);
  EXPECT_EQ(reader.u16(), 65535);
  EXPECT_EQ(reader.u32(), 1u << 31);
  EXPECT_EQ(reader.u64(), std::numeric_limits<uint64_t>::max());
  EXPECT_EQ(reader.i64(), std::numeric_limits<int64_t>::min());
  EXPECT_EQ(as_text(reader.bytes(3)), "tai");
  EXPECT_FALSE(reader.complete());
  EXPECT_EQ(as_text(reader.rest()), "l");
  EXPECT_TRUE(reader.complete());
}

TEST(Reader, fails_at_its_end_and_stays_failed) {
  const std::vector<uint8_t> three = {1, 2, 3};
  Reader reader(three);
  EXPECT_EQ(reader.u32(), 0u);
  EXPECT_FALSE(reader.ok());
  // Three bytes are left, but an earlier read failed.
  EXPECT_EQ(reader.u8(), 0);
  EXPECT_TRUE(reader.bytes(1).empty());
  EXPECT_FALSE(reader.complete());
}

TEST(Reader, refuses_a_length_that_would_wrap) {
  const std::vector<uint8_t> three = {1, 2, 3};
  Reader reader(three);
  EXPECT_TRUE(reader.bytes(std::numeric_limits<size_t>::max()).empty());
  EXPECT_FALSE(reader.ok());
}

TEST(Reader, is_complete_when_empty_from_the_start) { EXPECT_TRUE(Reader({}).complete()); }

TEST(Writer, patches_a_length_that_is_known_later) {
  std::vector<uint8_t> out;
  Writer writer(out);
  const size_t at = writer.size();
  writer.u32(0);
  writer.bytes(as_bytes("abc"));
  writer.patch<uint32_t>(at, 3);
  EXPECT_EQ(load_le<uint32_t>(out.data()), 3u);
  EXPECT_EQ(out.size(), 7u);
}

}  // namespace
}  // namespace bop

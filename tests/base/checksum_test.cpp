#include "base/checksum.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/random.h"

namespace bop {
namespace {

// RFC 3720, appendix B.4.
TEST(Crc32c, gives_the_standards_test_vectors) {
  std::vector<uint8_t> bytes(32, 0x00);
  EXPECT_EQ(crc32c(bytes), 0x8a9136aau);
  bytes.assign(32, 0xff);
  EXPECT_EQ(crc32c(bytes), 0x62a8ab43u);
  for (uint8_t i = 0; i < 32; ++i) bytes[i] = i;
  EXPECT_EQ(crc32c(bytes), 0x46dd794eu);
  for (uint8_t i = 0; i < 32; ++i) bytes[i] = 31 - i;
  EXPECT_EQ(crc32c(bytes), 0x113fdb5cu);
  EXPECT_EQ(crc32c(as_bytes("123456789")), 0xe3069283u);
}

TEST(Crc32c, of_nothing_is_zero) { EXPECT_EQ(crc32c({}), 0u); }

TEST(Crc32c, continues_across_pieces) {
  Random random(1);
  std::vector<uint8_t> bytes(1000);
  for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random.next());
  const uint32_t whole = crc32c(bytes);
  for (const size_t cut : {0u, 1u, 7u, 64u, 512u, 999u, 1000u}) {
    const Bytes all(bytes);
    EXPECT_EQ(crc32c(all.subspan(cut), crc32c(all.first(cut))), whole) << cut;
  }
}

TEST(Crc32c, sees_every_flipped_bit) {
  std::vector<uint8_t> bytes(100, 0x5a);
  const uint32_t before = crc32c(bytes);
  for (size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    bytes[bit / 8] ^= static_cast<uint8_t>(1u << (bit % 8));
    EXPECT_NE(crc32c(bytes), before);
    bytes[bit / 8] ^= static_cast<uint8_t>(1u << (bit % 8));
  }
}

// XXH3 is a fixed function: these are its values for these bytes on every machine and version.
TEST(Hashes, are_the_same_everywhere) {
  EXPECT_EQ(hash64({}), 0x2d06800538d394c2u);
  const Hash128 empty = hash128({});
  EXPECT_EQ(empty.low, 0x6001c324468d497fu);
  EXPECT_EQ(empty.high, 0x99aa06d3014798d8u);
}

TEST(Hashes, depend_on_bytes_and_seed) {
  EXPECT_NE(hash64(as_bytes("a")), hash64(as_bytes("b")));
  EXPECT_NE(hash64(as_bytes("a"), 1), hash64(as_bytes("a"), 2));
  EXPECT_NE(hash128(as_bytes("a"), 1), hash128(as_bytes("a"), 2));
  EXPECT_EQ(hash128(as_bytes("a"), 1), hash128(as_bytes("a"), 1));
}

}  // namespace
}  // namespace bop

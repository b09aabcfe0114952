#include "group/checkpoint.h"

#include <gtest/gtest.h>

namespace bop::group {
namespace {

Checkpoint example() {
  Checkpoint out;
  out.at = {.term = 3, .index = 12};
  out.configuration = {{1, 2, 3}, {4}};
  out.configuration_index = 7;
  out.instance = 2;
  out.machine_version = 5;
  out.machine = "kv";
  return out;
}

bop_status error_of(const std::vector<uint8_t>& bytes) {
  const auto decoded = decode_checkpoint(example().at, bytes);
  return decoded ? BOP_OK : decoded.error().code;
}

TEST(ACheckpoint, gives_back_what_was_encoded) {
  const auto decoded = decode_checkpoint(example().at, encode(example()));
  ASSERT_TRUE(decoded) << decoded.error().to_string();
  EXPECT_EQ(*decoded, example());
}

TEST(ACheckpoint, that_is_cut_off_is_refused) {
  const std::vector<uint8_t> bytes = encode(example());
  for (size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_NE(error_of({bytes.begin(), bytes.begin() + static_cast<ptrdiff_t>(size)}), BOP_OK)
        << size;
  }
}

// Of each section, the last byte: sessions, origin and vote floor have places for what later versions write.
TEST(ACheckpoint, of_a_later_version_is_refused_by_name) {
  std::vector<uint8_t> bytes = encode(example());
  std::vector<uint8_t> vote_floor = bytes;
  vote_floor.back() = 1;
  EXPECT_EQ(error_of(vote_floor), BOP_E_NEWER_FORMAT);
  std::vector<uint8_t> origin = bytes;
  origin[bytes.size() - 24 - 8 - 1] = 1;
  EXPECT_EQ(error_of(origin), BOP_E_NEWER_FORMAT);
  std::vector<uint8_t> flags = bytes;
  flags[2] = 1;
  EXPECT_EQ(error_of(flags), BOP_E_NEWER_FORMAT);
  std::vector<uint8_t> section = bytes;
  section.insert(section.end(), {6, 0, 0, 0, 0, 0, 0, 0});
  EXPECT_EQ(error_of(section), BOP_E_NEWER_FORMAT);
}

TEST(ACheckpoint, with_a_configuration_of_a_later_entry_is_refused) {
  std::vector<uint8_t> bytes = encode(example());
  bytes[8] = 13;
  EXPECT_EQ(error_of(bytes), BOP_E_PROTOCOL);
}

}  // namespace
}  // namespace bop::group

#include "snapshot/manifest.h"

#include <gtest/gtest.h>

#include <functional>

#include "example.h"

namespace bop::snapshot {
namespace {

using test::example;

// The checksum of bytes that a test altered.
std::vector<uint8_t> seal(std::vector<uint8_t> bytes) {
  store_le(bytes.data() + bytes.size() - 4, crc32c(Bytes(bytes).first(bytes.size() - 4)));
  return bytes;
}

TEST(Manifest, is_read_as_it_was_written) {
  const auto bytes = encode(example());
  const auto read = decode(bytes);
  ASSERT_TRUE(read) << read.error().to_string();
  EXPECT_EQ(*read, example());
  EXPECT_EQ(read->bytes(), 11u);
}

TEST(Manifest, has_the_layout_of_the_format_s_page) {
  const auto bytes = encode(example());
  ASSERT_EQ(bytes.size(), 101u + 2 + 3 + 2 * 26);
  EXPECT_EQ(as_text(Bytes(bytes).first(8)), "BOPSNAP\n");
  EXPECT_EQ(load_le<uint16_t>(bytes.data() + 8), 1);
  EXPECT_EQ(bytes[16], 0xa0);
  EXPECT_EQ(load_le<uint64_t>(bytes.data() + 32), 7u);
  EXPECT_EQ(load_le<uint64_t>(bytes.data() + 48), 1000u);
  EXPECT_EQ(load_le<uint64_t>(bytes.data() + 56), 3u);
  EXPECT_EQ(load_le<uint32_t>(bytes.data() + 72), 2u);
  EXPECT_EQ(bytes[76], 2);
  EXPECT_EQ(as_text(Bytes(bytes).subspan(77, 2)), "kv");
  EXPECT_EQ(load_le<uint64_t>(bytes.data() + 79), 900u);
  EXPECT_EQ(load_le<uint32_t>(bytes.data() + 87), 3u);
  EXPECT_EQ(load_le<uint32_t>(bytes.data() + 98), 2u) << "parts";
  EXPECT_EQ(bytes[102], 1) << "bytes of the first label";
  EXPECT_EQ(bytes[103], 'a');
}

TEST(Manifest, equal_manifests_have_equal_ids_and_others_do_not) {
  Manifest other = example();
  EXPECT_EQ(id_of(encode(other)), id_of(encode(example())));
  other.parts[1].label = "c";
  EXPECT_NE(id_of(encode(other)), id_of(encode(example())));
}

TEST(Manifest, a_digest_is_written_as_its_bytes_are) {
  EXPECT_EQ(to_hex({0x0706050403020100, 0x0f0e0d0c0b0a0908}), "000102030405060708090a0b0c0d0e0f");
}

TEST(Manifest, every_altered_or_missing_byte_is_found) {
  const auto bytes = encode(example());
  for (size_t i = 0; i < bytes.size(); ++i) {
    auto altered = bytes;
    altered[i] ^= 0x10;
    EXPECT_FALSE(decode(altered)) << i;
    EXPECT_FALSE(decode(Bytes(bytes).first(i))) << i;
  }
  auto longer = bytes;
  longer.push_back(0);
  EXPECT_FALSE(decode(seal(longer)));
}

TEST(Manifest, a_newer_version_and_what_it_brings_are_refused_by_name) {
  const auto bytes = encode(example());
  const auto with = [&bytes](size_t at) {
    auto altered = bytes;
    ++altered[at];
    return decode(seal(altered)).error();
  };
  EXPECT_EQ(with(8).code, BOP_E_NEWER_FORMAT);
  for (const auto& [at, what] : {std::pair<size_t, std::string>{10, "flags"},
                                 {12, "generation"},
                                 {40, "recovery epoch"},
                                 {94, "sessions"}}) {
    EXPECT_EQ(with(at).code, BOP_E_NEWER_FORMAT) << what;
    EXPECT_NE(with(at).detail.find(what), std::string::npos) << with(at).detail;
  }
}

TEST(Manifest, what_breaks_a_rule_is_named) {
  const std::vector<std::pair<std::string, std::function<void(Manifest&)>>> rules = {
      {"group, index or term is 0", [](Manifest& m) { m.group = 0; }},
      {"group, index or term is 0", [](Manifest& m) { m.index = 0; }},
      {"group, index or term is 0", [](Manifest& m) { m.term = 0; }},
      {"name of its machine", [](Manifest& m) { m.kind.clear(); }},
      {"name of its machine", [](Manifest& m) { m.kind.assign(65, 'k'); }},
      {"no configuration", [](Manifest& m) { m.configuration.clear(); }},
      {"configuration is of a later entry", [](Manifest& m) { m.configuration_index = 1001; }},
      {"label has 0 bytes", [](Manifest& m) { m.parts[0].label.clear(); }},
      {"label has 256 bytes", [](Manifest& m) { m.parts[1].label.assign(256, 'b'); }},
      {"do not ascend", [](Manifest& m) { std::swap(m.parts[0], m.parts[1]); }},
      {"do not ascend", [](Manifest& m) { m.parts[1].label = "a"; }},
      {"the limit is 67108864", [](Manifest& m) { m.parts[0].size = max_part_bytes + 1; }},
      {"a manifest of", [](Manifest& m) { m.configuration.assign(max_manifest_bytes, 1); }},
  };
  EXPECT_TRUE(check(example()));
  for (const auto& [what, alter] : rules) {
    Manifest altered = example();
    alter(altered);
    const Status status = check(altered);
    ASSERT_FALSE(status) << what;
    EXPECT_EQ(status.error().code, BOP_E_INVALID_ARGUMENT);
    EXPECT_NE(status.error().detail.find(what), std::string::npos) << status.error().detail;
  }
}

TEST(Manifest, an_invalid_one_with_a_valid_checksum_is_damaged) {
  auto bytes = encode(example());
  store_le<uint64_t>(bytes.data() + 32, 0);  // the group
  EXPECT_EQ(decode(seal(bytes)).error().code, BOP_E_DAMAGED);
}

}  // namespace
}  // namespace bop::snapshot

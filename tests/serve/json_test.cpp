#include "serve/json.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/random.h"

namespace bop::serve {
namespace {

TEST(JsonWriter, writes_what_another_library_reads_back) {
  JsonWriter writer;
  writer.begin_object().field("a", uint64_t{1}).name("list").begin_array();
  writer.value(true)
      .null()
      .value("t\"\\\n\x01")
      .begin_object()
      .end_object()
      .begin_array()
      .end_array();
  writer.end_array().field("negative", int64_t{-7}).field("last", "x").end_object();
  const auto parsed = nlohmann::json::parse(writer.take());
  EXPECT_EQ(parsed["a"], 1);
  EXPECT_EQ(parsed["list"].size(), 5u);
  EXPECT_EQ(parsed["list"][2], "t\"\\\n\x01");
  EXPECT_EQ(parsed["negative"], -7);
  EXPECT_EQ(parsed["last"], "x");
}

TEST(JsonWriter, writes_texts_that_are_no_utf8_with_the_replacement_character) {
  JsonWriter writer;
  writer.begin_array()
      .value(
          "a\xff"
          "b\xe2\x82")
      .value("\xc0\x80")
      .value("\xe2\x82\xac")
      .end_array();
  EXPECT_EQ(writer.take(),
            "[\"a\\ufffd"
            "b\\ufffd\\ufffd\",\"\\ufffd\\ufffd\",\"\xe2\x82\xac\"]");
}

TEST(JsonWriter, shows_any_bytes_so_that_they_can_be_told_apart) {
  Random random(4);
  for (int i = 0; i < 2000; ++i) {
    std::string bytes;
    for (uint64_t n = random.below(6); n > 0; --n) {
      bytes += static_cast<char>(random.chance(1, 2) ? random.below(128) : random.next());
    }
    JsonWriter writer;
    writer.bytes(as_bytes(bytes));
    const auto parsed = nlohmann::json::parse(writer.take());
    if (parsed.is_string()) {
      EXPECT_EQ(parsed.get<std::string>(), bytes);
    } else {
      EXPECT_EQ(parsed["base64"], to_base64(as_bytes(bytes)));
      EXPECT_FALSE(is_utf8(as_bytes(bytes)));
    }
  }
}

TEST(Utf8, is_what_unicode_says) {
  for (const auto* good : {"", "a", "\xc2\x80", "\xe0\xa0\x80", "\xed\x9f\xbf", "\xf0\x90\x80\x80",
                           "\xf4\x8f\xbf\xbf", "\xef\xbf\xbf"}) {
    EXPECT_TRUE(is_utf8(as_bytes(good))) << good;
  }
  for (const auto* bad :
       {"\x80", "\xc0\x80", "\xc1\xbf", "\xe0\x9f\xbf", "\xed\xa0\x80", "\xf0\x8f\xbf\xbf",
        "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xc2", "\xe1\x80", "a\xff"}) {
    EXPECT_FALSE(is_utf8(as_bytes(bad)));
  }
}

TEST(Base64, is_that_of_rfc_4648) {
  const std::vector<std::pair<std::string, std::string>> cases{{"", ""},
                                                               {"f", "Zg=="},
                                                               {"fo", "Zm8="},
                                                               {"foo", "Zm9v"},
                                                               {"foob", "Zm9vYg=="},
                                                               {"fooba", "Zm9vYmE="},
                                                               {"foobar", "Zm9vYmFy"}};
  for (const auto& [bytes, text] : cases) EXPECT_EQ(to_base64(as_bytes(bytes)), text);
}

}  // namespace
}  // namespace bop::serve

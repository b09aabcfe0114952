#include "serve/url.h"

#include <gtest/gtest.h>

namespace bop::serve {
namespace {

TEST(Url, decodes_percent_escapes_and_refuses_broken_ones) {
  EXPECT_EQ(percent_decode("a%20b%2Fc+d").value(), "a b/c+d");
  EXPECT_EQ(percent_decode("%00%ff").value(), std::string("\0\xff", 2));
  for (const auto* bad : {"%", "%2", "a%g0", "%%20"}) {
    EXPECT_EQ(percent_decode(bad).error().code, BOP_E_INVALID_ARGUMENT) << bad;
  }
}

TEST(Url, takes_a_target_apart) {
  const auto target = parse_target("/v1/kv?prefix=a%26b&limit=3&flag&empty=&plus=a+b");
  ASSERT_TRUE(target);
  EXPECT_EQ(target->path, "/v1/kv");
  EXPECT_EQ(target->query,
            (std::map<std::string, std::string>{
                {"prefix", "a&b"}, {"limit", "3"}, {"flag", ""}, {"empty", ""}, {"plus", "a b"}}));
  EXPECT_FALSE(parse_target("/v1/kv?a=1&a=2"));
  EXPECT_FALSE(parse_target("/v1/kv?a=%"));
  EXPECT_TRUE(parse_target("/v1/kv?")->query.empty());
  for (const auto* root : {"", "/", "?", "?a=/b"}) EXPECT_EQ(parse_target(root)->path, "/") << root;
  EXPECT_EQ(parse_target("?next=http://x/y")->query.at("next"), "http://x/y");
}

TEST(Url, a_target_has_no_fragment) {
  for (const auto* bad : {"/a#b", "#", "/v1/kv?a=1#", "/v1/kv?a=#1"}) {
    EXPECT_EQ(parse_target(bad).error().code, BOP_E_INVALID_ARGUMENT) << bad;
  }
  EXPECT_EQ(parse_target("/a%23b?c=%23")->query.at("c"), "#");
}

TEST(Url, numbers_are_digits_alone) {
  EXPECT_EQ(parse_number("42"), 42u);
  for (const auto* bad : {"", "-1", "+1", " 1", "1 ", "1x", "18446744073709551616"}) {
    EXPECT_FALSE(parse_number(bad)) << bad;
  }
}

}  // namespace
}  // namespace bop::serve

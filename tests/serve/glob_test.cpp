#include "serve/glob.h"

#include <gtest/gtest.h>

namespace bop::serve {
namespace {

TEST(Glob, matches_as_redis_does) {
  for (const auto& [pattern, text] :
       std::vector<std::pair<std::string, std::string>>{{"*", ""},
                                                        {"*", "anything"},
                                                        {"h?llo", "hello"},
                                                        {"h*llo", "heeeello"},
                                                        {"h*llo", "hllo"},
                                                        {"h[ae]llo", "hallo"},
                                                        {"h[^e]llo", "hbllo"},
                                                        {"h[a-b]llo", "hbllo"},
                                                        {"h[b-a]llo", "hallo"},
                                                        {"\\*", "*"},
                                                        {"a\\?b", "a?b"},
                                                        {"*a*b*c*", "xxaxxbxxc"},
                                                        {"", ""},
                                                        {"[a\\]]", "]"},
                                                        {"a**b", "ab"},
                                                        {"[abc", "a"}}) {
    EXPECT_TRUE(glob_matches(pattern, text)) << pattern << " and " << text;
  }
  for (const auto& [pattern, text] :
       std::vector<std::pair<std::string, std::string>>{{"", "a"},
                                                        {"?", ""},
                                                        {"h[^e]llo", "hello"},
                                                        {"h[ae]llo", "hillo"},
                                                        {"\\*", "a"},
                                                        {"*a", "ab"},
                                                        {"a*b*c", "acb"},
                                                        {"abc", "ab"},
                                                        {"[a-c]", "d"},
                                                        {"A", "a"}}) {
    EXPECT_FALSE(glob_matches(pattern, text)) << pattern << " and " << text;
  }
}

TEST(Glob, takes_no_exponential_time) {
  std::string pattern;
  for (int i = 0; i < 500; ++i) pattern += "a*";
  EXPECT_FALSE(glob_matches(pattern + "b", std::string(1024, 'a')));
}

TEST(Glob, knows_what_every_match_begins_with) {
  EXPECT_EQ(glob_prefix("user:*"), "user:");
  EXPECT_EQ(glob_prefix("a\\*b?c"), "a*b");
  EXPECT_EQ(glob_prefix("[ab]c"), "");
  EXPECT_EQ(glob_prefix("exact"), "exact");
}

}  // namespace
}  // namespace bop::serve

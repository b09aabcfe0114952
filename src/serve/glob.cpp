#include "serve/glob.h"

namespace bop::serve {

namespace {

// Matches one character against the class that begins at `at` (after '['); `at` moves past its end.
bool in_class(std::string_view pattern, size_t& at, char c) {
  const bool negated = at < pattern.size() && pattern[at] == '^';
  if (negated) ++at;
  bool found = false;
  const auto byte = static_cast<unsigned char>(c);
  while (at < pattern.size() && pattern[at] != ']') {
    if (pattern[at] == '\\' && at + 1 < pattern.size()) {
      ++at;
      found |= pattern[at] == c;
      ++at;
    } else if (at + 2 < pattern.size() && pattern[at + 1] == '-') {
      auto low = static_cast<unsigned char>(pattern[at]);
      auto high = static_cast<unsigned char>(pattern[at + 2]);
      if (low > high) std::swap(low, high);
      found |= byte >= low && byte <= high;
      at += 3;
    } else {
      found |= pattern[at] == c;
      ++at;
    }
  }
  if (at < pattern.size()) ++at;  // ']'; a class without one ends with the pattern
  return found != negated;
}

// Matches one character of the text against one element of the pattern, which is no '*'.
bool one_matches(std::string_view pattern, size_t& at, char c) {
  switch (pattern[at]) {
    case '?': ++at; return true;
    case '[': ++at; return in_class(pattern, at, c);
    case '\\':
      if (at + 1 < pattern.size()) ++at;
      [[fallthrough]];
    default: return pattern[at++] == c;
  }
}

}  // namespace

bool glob_matches(std::string_view pattern, std::string_view text) {
  size_t at = 0;
  size_t in_text = 0;
  // The last '*' and where its match ends: only that one ever has to take more.
  size_t star = std::string_view::npos;
  size_t star_text = 0;
  while (in_text < text.size()) {
    if (at < pattern.size() && pattern[at] == '*') {
      star = ++at;
      star_text = in_text;
      continue;
    }
    if (at < pattern.size() && one_matches(pattern, at, text[in_text])) {
      ++in_text;
      continue;
    }
    if (star == std::string_view::npos) return false;
    at = star;
    in_text = ++star_text;
  }
  while (at < pattern.size() && pattern[at] == '*') ++at;
  return at == pattern.size();
}

std::string glob_prefix(std::string_view pattern) {
  std::string prefix;
  for (size_t at = 0; at < pattern.size(); ++at) {
    const char c = pattern[at];
    if (c == '*' || c == '?' || c == '[') break;
    if (c == '\\' && at + 1 < pattern.size()) ++at;
    prefix += pattern[at];
  }
  return prefix;
}

}  // namespace bop::serve

// What the command lines of bop, bopd and bop-sim have in common.
#pragma once

#include <CLI/CLI.hpp>
#include <charconv>
#include <concepts>
#include <limits>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>

#include "command_line/usage.h"

namespace command_line {

// None: the whole text is not one decimal number that T holds. A whole number has no leading 0, which
// could mean octal.
template <class T>
std::optional<T> parse_number(std::string_view text) {
  T value{};
  const char* const end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data(), end, value);
  if (parsed.ec != std::errc() || parsed.ptr != end) return std::nullopt;
  const std::string_view digits = text.substr(text.starts_with('-') ? 1 : 0);
  if (std::integral<T> && digits.size() > 1 && digits[0] == '0') return std::nullopt;
  return value;
}

// For Option::check of every number. CLI11 alone clamps what is too large, wraps what is negative, and
// takes 010 for 8 and nan for a number.
template <class T>
CLI::Validator number(T least = std::numeric_limits<T>::lowest(),
                      T most = std::numeric_limits<T>::max()) {
  std::ostringstream range;
  range << "in [" << +least << " - " << +most << "]";
  const auto check = [least, most, range = range.str()](const std::string& text) -> std::string {
    const std::optional<T> value = parse_number<T>(text);
    if (value && *value >= least && *value <= most) return {};
    return "\"" + text + "\" is not a decimal number " + range + ", written without leading zeros";
  };
  return CLI::Validator(check, range.str());
}

}  // namespace command_line

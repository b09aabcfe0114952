// Validators for the options of bop, bopd and bop-sim.
#pragma once

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <concepts>
#include <limits>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "command_line/usage.h"

namespace command_line {

// nullopt unless the whole text is one decimal number within the range of T. Integers with leading zeros are
// refused: they could be meant as octal.
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

// For Option::check of every number. CLI11 alone clamps numbers that are too large, wraps negative ones, reads 010
// as 8 and accepts nan.
template <class T>
CLI::Validator number(T least = std::numeric_limits<T>::lowest(),
                      T most = std::numeric_limits<T>::max()) {
  using Limits = std::numeric_limits<T>;
  std::ostringstream range;
  if (least != Limits::lowest() || most != Limits::max()) range << +least << ".." << +most;
  const auto check = [least, most, range = range.str()](const std::string& text) -> std::string {
    const std::optional<T> value = parse_number<T>(text);
    if (value && *value >= least && *value <= most) return {};
    return "\"" + text + "\" is not a decimal number" +
           (range.empty() ? " of " + std::to_string(8 * sizeof(T)) + " bits" : " in " + range) +
           ", written without leading zeros";
  };
  return CLI::Validator(check, range.str());
}

// For Option::check of an option with a fixed set of values. Completions read the values from the description.
inline CLI::Validator one_of(std::vector<std::string> values) {
  std::string list, description;
  for (const std::string& value : values) {
    list += (list.empty() ? "" : " or ") + value;
    description += (description.empty() ? "{" : ",") + value;
  }
  const auto check = [values = std::move(values), list](const std::string& text) -> std::string {
    if (std::ranges::find(values, text) != values.end()) return {};
    return "must be " + list + ", is \"" + text + "\"";
  };
  return CLI::Validator(check, description + "}");
}

}  // namespace command_line

#include "log/position.h"

#include <algorithm>
#include <limits>

namespace bop::log {
namespace {

constexpr size_t digits = 16;
constexpr const char* suffix = ".seg";

}  // namespace

std::string segment_name(uint32_t number) {
  const std::string text = std::to_string(number);
  return std::string(digits - text.size(), '0') + text + suffix;
}

uint32_t segment_number(const std::string& name) {
  if (name.size() != digits + 4 || !name.ends_with(suffix)) return 0;
  uint64_t number = 0;
  for (const char c : name.substr(0, digits)) {
    if (c < '0' || c > '9') return 0;
    number = number * 10 + static_cast<uint64_t>(c - '0');
  }
  return number <= std::numeric_limits<uint32_t>::max() ? static_cast<uint32_t>(number) : 0;
}

}  // namespace bop::log

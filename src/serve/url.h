// The path and query of a request's target, percent-decoded (RFC 3986).
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace bop::serve {

// A '+' stays a '+'. INVALID_ARGUMENT when a '%' is not followed by two hexadecimal digits.
Result<std::string> percent_decode(std::string_view text);

struct Target {
  std::string_view path;  // as it was sent; "/" when it is empty
  // Decoded, '+' as a space; the value of a name without '=' is empty.
  std::map<std::string, std::string> query;
};

// INVALID_ARGUMENT: a fragment, a '%' without two hexadecimal digits, a name given twice.
Result<Target> parse_target(std::string_view target);

// Of decimal digits alone; nothing: it has others, or does not fit.
std::optional<uint64_t> parse_number(std::string_view text);

}  // namespace bop::serve

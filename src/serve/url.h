// The parts of a request's target: percent-decoded (RFC 3986), '+' taken as it is but in queries.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace bop::serve {

// INVALID_ARGUMENT when a '%' is not followed by two hexadecimal digits.
Result<std::string> percent_decode(std::string_view text);

struct Target {
  std::string_view path;                     // as it was sent, "/" for none
  std::map<std::string, std::string> query;  // decoded; a name without '=' has an empty value
};

// INVALID_ARGUMENT: an escape that is none, a name given twice.
Result<Target> parse_target(std::string_view target);

// Decimal digits alone.
std::optional<uint64_t> parse_number(std::string_view text);

}  // namespace bop::serve

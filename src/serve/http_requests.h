// Parameters of requests that several parts of the HTTP API read.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/result.h"
#include "serve/url.h"

namespace bop::serve {

Error unknown_parameter(const std::string& name);

// The parameter `name` as a number; nullopt if the target has none. INVALID_ARGUMENT if it is not a number from `least`
// to `most`.
Result<std::optional<uint64_t>> read_number(const Target& target, const std::string& name,
                                            uint64_t least, uint64_t most);

// INVALID_ARGUMENT if the target has a parameter other than timeout_ms.
Status check_only_timeout(const Target& target);

}  // namespace bop::serve

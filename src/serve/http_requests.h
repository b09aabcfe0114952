// What several parts of the HTTP API read from a request.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/result.h"
#include "serve/url.h"

namespace bop::serve {

Error unknown_parameter(const std::string& name);

// The parameter of that name as a number; nothing: it is not there. INVALID_ARGUMENT: it is no number
// from `least` to `most`.
Result<std::optional<uint64_t>> read_number(const Target& target, const std::string& name,
                                            uint64_t least, uint64_t most);

// INVALID_ARGUMENT when there is any parameter but timeout_ms.
Status check_only_timeout(const Target& target);

}  // namespace bop::serve

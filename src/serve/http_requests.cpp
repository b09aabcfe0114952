#include "serve/http_requests.h"

#include <fmt/format.h>

namespace bop::serve {

Error unknown_parameter(const std::string& name) {
  return {BOP_E_INVALID_ARGUMENT, fmt::format("the parameter '{}' is unknown", name)};
}

Result<std::optional<uint64_t>> read_number(const Target& target, const std::string& name,
                                            uint64_t least, uint64_t most) {
  const auto found = target.query.find(name);
  if (found == target.query.end()) return std::nullopt;
  const auto number = parse_number(found->second);
  if (!number || *number < least || *number > most) {
    return fail(BOP_E_INVALID_ARGUMENT,
                fmt::format("{} must be a number from {} to {}", name, least, most));
  }
  return number;
}

Status check_only_timeout(const Target& target) {
  for (const auto& [name, value] : target.query) {
    if (name != "timeout_ms") return std::unexpected(unknown_parameter(name));
  }
  return {};
}

}  // namespace bop::serve

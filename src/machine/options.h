// What the configuration says of a machine, whatever its kind.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace bop::machine {

struct Options {
  std::string configuration;     // the machine's own, JSON or empty
  uint64_t memory_bytes = 0;     // 0: the machine's default
  size_t max_queries = 1 << 16;  // asked and not answered; beyond: OVERLOADED
  friend bool operator==(const Options&, const Options&) = default;
};

}  // namespace bop::machine

// The options of a machine of any kind, from the node's configuration.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

namespace bop::machine {

// Whose state a machine has; see bop_machine_options.
struct Identity {
  std::array<uint8_t, 16> cluster{};
  uint64_t group = 0;
  uint64_t instance = 1;
};

struct Options {
  std::string configuration;     // of the machine: JSON or empty
  uint64_t memory_bytes = 0;     // limit; 0: the machine's default
  size_t max_queries = 1 << 16;  // limit of open queries; beyond: OVERLOADED
  friend bool operator==(const Options&, const Options&) = default;
};

}  // namespace bop::machine

// The tokens of a machine's calls: each contains the kind of its call, so that a completion can be checked. Only for
// this module's .cpp files.
#pragma once

#include <cstdint>

#include "bop/error.h"
#include "bop/machine.h"

namespace bop::machine {

enum class Call : uint64_t {
  apply = 1,
  query = 2,
  sync = 3,
  snapshot = 4,
  part = 5,
  restore = 6,
  scrub = 7
};

inline constexpr unsigned call_shift = 60;
inline constexpr unsigned generation_shift = 32;
inline constexpr uint64_t generation_mask = (1u << 28) - 1;

inline uint64_t token_of(Call call, uint64_t generation, uint32_t slot) {
  return static_cast<uint64_t>(call) << call_shift |
         (generation & generation_mask) << generation_shift | slot;
}
inline Call call_of(uint64_t token) { return static_cast<Call>(token >> call_shift); }
inline uint32_t slot_of(uint64_t token) { return static_cast<uint32_t>(token); }

// Whether a machine may return it: one of bop/error.h.
inline bool is_status(int32_t status) {
  switch (status) {
    case BOP_OK:
#define BOP_ERROR_CASE(name, number, text) case number:
      BOP_ERROR_MAP(BOP_ERROR_CASE)
#undef BOP_ERROR_CASE
      return true;
    default: return false;
  }
}

}  // namespace bop::machine

// Time: a Duration and an Instant are nanoseconds in 64 bits. An Instant has no relation to the
// calendar; each clock (port/clock.h) has its own origin.
#pragma once

#include <cstdint>
#include <limits>

namespace bop {

using Duration = int64_t;  // nanoseconds
using Instant = int64_t;   // nanoseconds, monotonic

inline constexpr Duration microseconds = 1'000;
inline constexpr Duration milliseconds = 1'000'000;
inline constexpr Duration seconds = 1'000'000'000;
inline constexpr Instant never = std::numeric_limits<Instant>::max();

}  // namespace bop

// What the system measures of a TCP connection's path.
#pragma once

#include <optional>

#include "base/time.h"

namespace bop::net {

struct Path {
  Duration round_trip = 0;  // smoothed
  Duration shortest = 0;    // of the last minutes
};

// nullopt: not a TCP connection, or nothing was measured yet.
std::optional<Path> path_of(int socket);

}  // namespace bop::net

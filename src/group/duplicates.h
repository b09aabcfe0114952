// Which forwarded requests this node has already received, whatever it replied. A transport may duplicate
// a frame, and no request may be executed twice. This is remembered beyond the term of the request: if
// a duplicate were refused in a later term, its origin would send the request again.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "base/ids.h"

namespace bop::group {

class Duplicates {
 public:
  // True for a request that was not received before. False for a duplicate, and for a request that is too
  // old for the window.
  bool first_time(NodeId origin, uint64_t origin_epoch, uint64_t sequence);

 private:
  // A bit for each of the last `window` sequences of an origin; lower ones count as received.
  static constexpr uint64_t window = 1 << 16;
  struct Seen {
    uint64_t origin_epoch = 0;
    uint64_t highest = 0;
    std::vector<bool> bits;
  };
  std::map<NodeId, Seen> origins_;  // bounded by the nodes of the cluster
};

}  // namespace bop::group

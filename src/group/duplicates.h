// Which forwarded requests this node has seen, whatever it answered. A transport may duplicate a frame;
// a request that ran twice would break the promise that nothing does. That holds past the term in which
// it came: a duplicate that is refused then would be sent again by who forwarded it.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "base/ids.h"

namespace bop::group {

class Duplicates {
 public:
  // True the first time; false for what was seen, or is older than the window can tell.
  bool first_time(NodeId origin, uint64_t origin_epoch, uint64_t sequence);

 private:
  // The last `window` sequences of an origin as bits; those below are taken as seen.
  static constexpr uint64_t window = 1 << 16;
  struct Seen {
    uint64_t origin_epoch = 0;
    uint64_t highest = 0;
    std::vector<bool> bits;
  };
  std::map<NodeId, Seen> origins_;  // bounded by the nodes of the cluster
};

}  // namespace bop::group

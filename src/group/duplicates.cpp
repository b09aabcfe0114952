#include "group/duplicates.h"

#include <algorithm>

namespace bop::group {

bool Duplicates::first_time(NodeId origin, uint64_t origin_epoch, uint64_t sequence) {
  Seen& seen = origins_[origin];
  if (origin_epoch < seen.origin_epoch) return false;  // sent before that node restarted
  if (origin_epoch > seen.origin_epoch || seen.bits.empty()) {
    // The first sequence received in an origin epoch may be any: lower ones do not count as received until
    // the window moves past them.
    seen = {origin_epoch, sequence, std::vector<bool>(window, false)};
  }
  if (sequence + window <= seen.highest) return false;
  for (uint64_t next = seen.highest + 1; next <= sequence && next <= seen.highest + window; ++next)
    seen.bits[next % window] = false;
  seen.highest = std::max(seen.highest, sequence);
  if (seen.bits[sequence % window]) return false;
  seen.bits[sequence % window] = true;
  return true;
}

}  // namespace bop::group

#include "group/duplicates.h"

#include <algorithm>

namespace bop::group {

bool Duplicates::first_time(NodeId origin, uint64_t incarnation, uint64_t sequence) {
  Seen& seen = origins_[origin];
  if (incarnation < seen.incarnation) return false;  // sent before that node restarted
  if (incarnation > seen.incarnation || seen.bits.empty()) {
    // Sequences of an incarnation start anywhere: what is below its first is not taken as seen until
    // the window moves past it.
    seen = {incarnation, sequence, std::vector<bool>(window, false)};
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

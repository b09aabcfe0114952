#include "group/proposals.h"

#include <algorithm>
#include <utility>

namespace bop::group {

Proposals::Proposals(size_t capacity) : ring_(capacity) {
  BOP_ASSERT_GT(capacity, 0u);
  BOP_ASSERT_EQ(capacity & (capacity - 1), 0u);
}

bool Proposals::fits(Index index) const {
  return size_ == 0 || (index < first_ + ring_.size() && index + ring_.size() >= end_);
}

Pending Proposals::put(Index index, const Pending& pending) {
  BOP_ASSERT_NE(pending.term, 0u);
  BOP_ASSERT(!pending.answered);
  BOP_ASSERT(fits(index));
  if (size_ == 0) first_ = end_ = index;
  first_ = std::min(first_, index);
  end_ = std::max(end_, index + 1);
  Pending& place = ring_[index & (ring_.size() - 1)];
  const Pending before = remove(place);
  place = pending;
  ++size_;
  ++waiting_;
  return before;
}

Pending Proposals::remove(Pending& place) {
  const Pending out = std::exchange(place, {});
  if (out.term == 0) return {};
  --size_;
  if (out.answered) return {};
  --waiting_;
  return out;
}

Pending Proposals::take(Index index) {
  if (size_ == 0 || index < first_ || index >= end_) return {};
  first_ = index + 1;
  return remove(ring_[index & (ring_.size() - 1)]);
}

void Proposals::take_older(Term term, const std::function<void(const Pending&)>& taken) {
  for (Index index = first_; index < end_ && size_ > 0; ++index) {
    Pending& place = ring_[index & (ring_.size() - 1)];
    if (place.term == 0 || place.term >= term) continue;
    const Pending out = remove(place);
    if (out.term != 0) taken(out);
  }
}

Instant Proposals::expire(Instant now, const std::function<void(Index, const Pending&)>& expired) {
  Instant earliest = never;
  for (Index index = first_; index < end_ && waiting_ > 0; ++index) {
    Pending& place = ring_[index & (ring_.size() - 1)];
    if (place.term == 0 || place.answered) continue;
    if (place.deadline > now) {
      earliest = std::min(earliest, place.deadline);
      continue;
    }
    const Pending out = place;
    place.answered = true;
    --waiting_;
    expired(index, out);
  }
  return earliest;
}

void Proposals::check_invariants(Index applied) const {
  BOP_ASSERT_LE(size_, ring_.size());
  BOP_ASSERT_LE(waiting_, size_);
  if (size_ == 0) return;
  BOP_ASSERT_LT(first_, end_);
  BOP_ASSERT_LE(end_ - first_, ring_.size());
  BOP_ASSERT_GT(end_ - 1, applied);
}

}  // namespace bop::group

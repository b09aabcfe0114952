// The proposals of this node whose fate is open, by the index of their entry: a ring, so that
// finding the completion of an applied entry costs a mask and no search.
#pragma once

#include <functional>
#include <vector>

#include "group/origin.h"

namespace bop::group {

class Proposals {
 public:
  explicit Proposals(size_t capacity);  // a power of two: the bound on indexes between both ends

  // Whether an entry at `index` finds its place.
  bool fits(Index index) const;
  // Enters a proposal. What stood there before (an entry that a newer leader replaced) is returned
  // with term != 0: nobody can know its fate yet.
  Pending put(Index index, const Pending& pending);
  // Takes out what waits for `index`; term 0: nobody does. Indexes are taken in rising order.
  Pending take(Index index);
  // Takes out all that were proposed in a term before `term`.
  void take_older(Term term, const std::function<void(const Pending&)>& taken);
  // Takes out all whose deadline passed, and tells the earliest of the rest.
  Instant expire(Instant now, const std::function<void(Index, const Pending&)>& expired);

  size_t size() const { return size_; }

  // `applied`: everything up to it was taken.
  void check_invariants(Index applied) const;

 private:
  std::vector<Pending> ring_;
  Index first_ = 0;  // no proposal stands below it
  Index end_ = 0;    // nor at or above it
  size_t size_ = 0;
};

}  // namespace bop::group

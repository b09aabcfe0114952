// The proposals of this replica that are appended and not applied yet, by the index of their entry, in
// a ring: the completion of an applied entry is found without a search.
//
// A proposal whose client was answered before (its deadline passed) keeps its place until its entry is applied or
// superseded. So the capacity bounds the entries that wait, also when they wait longer than their clients.
#pragma once

#include <functional>
#include <vector>

#include "group/origin.h"

namespace bop::group {

class Proposals {
 public:
  // `capacity`, a power of two, bounds the distance between the lowest and the highest index.
  explicit Proposals(size_t capacity);

  // Whether the ring has a slot for `index`.
  bool fits(Index index) const;
  // Adds a proposal. Returns the one that was at that index before, if any (term != 0): its entry was
  // replaced by a newer leader's, but may still be committed.
  Pending put(Index index, const Pending& pending);
  // Takes out the proposal at `index`; term 0: there is none, or it was answered. Indexes must be taken in increasing order.
  Pending take(Index index);
  // Takes out all proposals of terms before `term`, and calls `taken` for those that were not answered.
  void take_older(Term term, const std::function<void(const Pending&)>& taken);
  // Answers all proposals whose deadline passed, and returns the earliest deadline of those that wait.
  Instant expire(Instant now, const std::function<void(Index, const Pending&)>& expired);

  size_t size() const { return size_; }
  // Those that were not answered.
  size_t waiting() const { return waiting_; }

  // `applied`: all proposals up to this index were taken out.
  void check_invariants(Index applied) const;

 private:
  // Empties a place. Returns the proposal that waited there, if any (term != 0).
  Pending remove(Pending& place);

  std::vector<Pending> ring_;
  Index first_ = 0;  // all proposals are at or above this index ...
  Index end_ = 0;    // ... and below this one
  size_t size_ = 0;
  size_t waiting_ = 0;
};

}  // namespace bop::group

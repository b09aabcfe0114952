#include "raft/term_runs.h"

#include <algorithm>

#include "base/assert.h"

namespace bop::raft {

TermRuns::TermRuns(EntryId before_first, std::vector<TermRun> runs, Index last)
    : before_first_(before_first), runs_(std::move(runs)), last_(last) {
  BOP_ASSERT_EQ(runs_.empty(), last_ == before_first_.index);
  Index expected = before_first_.index + 1;
  Term term = before_first_.term;
  for (const TermRun& run : runs_) {
    // Two runs may touch in one term only where the compacted part ends.
    BOP_ASSERT(&run == &runs_.front() ? run.first == expected : run.first > expected);
    BOP_ASSERT(&run == &runs_.front() ? run.term >= term : run.term > term);
    BOP_ASSERT_LE(run.first, last_);
    expected = run.first;
    term = run.term;
  }
}

const TermRun& TermRuns::run_of(Index index) const {
  BOP_ASSERT(!runs_.empty());
  if (index >= runs_.back().first) return runs_.back();
  auto after = std::upper_bound(runs_.begin(), runs_.end(), index,
                                [](Index value, const TermRun& run) { return value < run.first; });
  BOP_ASSERT(after != runs_.begin());
  return *(after - 1);
}

Term TermRuns::at(Index index) const {
  if (index == before_first_.index) return before_first_.term;
  if (index < before_first_.index || index > last_) return 0;
  return run_of(index).term;
}

Index TermRuns::first_of_term_at(Index index) const {
  BOP_ASSERT_GT(index, before_first_.index);
  BOP_ASSERT_LE(index, last_);
  return run_of(index).first;
}

Index TermRuns::last_at_most(Term term, Index through) const {
  Index end = std::min(through, last_);
  for (auto run = runs_.rbegin(); run != runs_.rend(); ++run) {
    if (run->term <= term && run->first <= end) return end;
    end = std::min(end, run->first - 1);
  }
  return before_first_.index;
}

void TermRuns::append(Index index, Term term) {
  BOP_ASSERT_EQ(index, last_ + 1);
  BOP_ASSERT_GE(term, last_term());
  if (runs_.empty() || runs_.back().term != term) runs_.push_back({index, term});
  last_ = index;
}

void TermRuns::truncate(Index index) {
  BOP_ASSERT_GT(index, before_first_.index);
  if (index > last_) return;
  while (!runs_.empty() && runs_.back().first >= index) runs_.pop_back();
  last_ = index - 1;
}

void TermRuns::compact(Index through) {
  if (through <= before_first_.index) return;
  BOP_ASSERT_LE(through, last_);
  before_first_ = {at(through), through};
  auto kept = std::ranges::upper_bound(runs_, through, {}, &TermRun::first);
  // The run before it holds `through`, and perhaps entries after it.
  const bool ends_there = kept == runs_.end() ? through == last_ : kept->first == through + 1;
  if (!ends_there) (--kept)->first = through + 1;
  runs_.erase(runs_.begin(), kept);
}

}  // namespace bop::raft

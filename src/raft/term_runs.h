// The terms of all entries of a log, as runs of equal terms: memory grows with elections, not with entries.
#pragma once

#include <span>
#include <vector>

#include "raft/types.h"

namespace bop::raft {

class TermRuns {
 public:
  TermRuns(EntryId before_first, std::vector<TermRun> runs, Index last);

  EntryId before_first() const { return before_first_; }
  Index last() const { return last_; }
  Term last_term() const { return runs_.empty() ? before_first_.term : runs_.back().term; }
  std::span<const TermRun> runs() const { return runs_; }

  // 0 for an entry that is not in the log. The entry before the first counts as in it.
  Term at(Index index) const;
  // The first entry of the run that holds `index`, an entry of the log.
  Index first_of_term_at(Index index) const;
  // The last entry up to `through` whose term is at most `term`; the entry before the first if none.
  Index last_at_most(Term term, Index through) const;

  void append(Index index, Term term);
  // Drops the entries from `index` on.
  void truncate(Index index);
  // Drops the entries up to `through`, which is in the log.
  void compact(Index through);

 private:
  // The run that holds `index`.
  const TermRun& run_of(Index index) const;

  EntryId before_first_;
  std::vector<TermRun> runs_;
  Index last_;
};

}  // namespace bop::raft

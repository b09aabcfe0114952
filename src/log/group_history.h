// What recovery learns of one group from its records, in the order of the log.
//
// The log begins in the middle of a group's history: records that were not needed are gone, and entries that were
// needed longer were rewritten, in pieces, behind younger ones. So what is read first may be anywhere in the
// group's log. The history keeps each stretch of entries that it has read, and what the log consists of is decided
// at the end: the entries up to the last one, as far down as they are without a gap.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "log/group_index.h"
#include "log/record.h"
#include "raft/types.h"

namespace bop::log {

class GroupHistory {
 public:
  raft::HardState hard;      // of the last record
  Term leader_term = 0;      // of the last record
  Position last_record = 0;  // 0: the group has no record
  int64_t last_time_ns = 0;
  Checkpoints checkpoints;

  // The group's log is empty and begins after that entry.
  void restart(raft::EntryId before_first);
  // Whether the record does not contradict what is known of the entry before its first one.
  bool agrees(const RecordHeader& header) const;
  // Adds a record that was read and checked.
  void apply(const RecordLocation& location, const RecordView& record);

  // What the log keeps of the group.
  GroupIndex index() const;
  // Its configuration entries among the kept ones, by index, with their payloads.
  std::vector<raft::Entry> configurations(const GroupIndex& index) const;

 private:
  // Consecutive entries in one record.
  struct Stretch {
    RecordLocation location;  // `first` and `count` are those of the entries that still count
    Term before = 0;          // term of the entry before the first
    std::vector<raft::TermRun> runs;
    Term term_at(Index index) const;
    Term last_term() const { return runs.back().term; }
  };
  using Stretches = std::map<Index, Stretch>;  // by first index, without overlaps

  Term term_at(Index index) const;  // 0: not known
  const Stretch* with(Index index) const;
  void cut(Index first, Index last);  // these entries are elsewhere, or replaced
  void add(const RecordLocation& location, const RecordView& record);
  void note_configurations(const RecordView& record);

  raft::EntryId last_;  // the last entry, or the one before the first if there is none
  Stretches stretches_;
  std::map<Index, raft::Entry> configurations_;
};

}  // namespace bop::log

// The log's index of one group: where its entries are, and the values of its last record.
#pragma once

#include <cstdint>
#include <deque>
#include <vector>

#include "log/position.h"
#include "log/record.h"
#include "raft/types.h"

namespace bop::log {

// Consecutive entries in one record. Entries that were truncated or compacted are still in the record, but
// are skipped when it is read.
struct RecordLocation {
  Position frame = 0;
  uint32_t offset = 0;  // of the record in the frame's stream
  uint32_t bytes = 0;
  Index first = 0;
  uint32_t count = 0;

  // Of the record, as a unique number: a frame's stream is shorter than its blocks.
  Position position() const { return frame + offset; }
  Index last() const { return first + count - 1; }
};

class GroupIndex {
 public:
  raft::HardState hard;  // of the last record
  // Of the last record: the term of the leader whose log has this group's log as a prefix.
  Term leader_term = 0;
  Position last_record = 0;  // 0: the group has no record
  int64_t last_time_ns = 0;  // the leader's time in the last entry; never decreases

  const raft::EntryId& before_first() const { return before_first_; }
  Index last() const { return last_; }
  const std::vector<raft::TermRun>& runs() const { return runs_; }
  const std::deque<RecordLocation>& locations() const { return locations_; }
  bool empty() const { return last_ == before_first_.index; }

  // The term of a kept entry, or of the one before the first; 0 for any other index.
  Term term_at(Index index) const;
  // Whether a record's first entry is the next one or replaces a kept one. That may be false where the log
  // begins in the middle of a group's history: for a record below the first entry kept, or for one after a
  // rewrite that a crash cut short. The entries before such a record were not needed any more.
  bool joins(const RecordHeader& header) const;
  // For a record that joins: whether the entry before its first one has the term that it names.
  bool agrees(const RecordHeader& header) const;

  // The group's log restarts after `before_first`.
  void restart(raft::EntryId before_first);
  // Drops the entries from `first` on.
  void truncate(Index first);
  // `location` has the next entries. The caller passes their terms to add_term, in order.
  void add_location(const RecordLocation& location);
  void add_term(Index index, Term term) {
    if (runs_.empty() || runs_.back().term != term) runs_.push_back({index, term});
  }
  // The last location's record grew by the next entries.
  void extend_last(uint32_t count, uint32_t bytes);
  // Drops the entries up to and including `through`.
  void compact(raft::EntryId through);

  // The kept entries are now at `locations`.
  void replace_locations(std::deque<RecordLocation> locations);

  // Adds a record that recovery read and checked. The group's log restarts at one that does not join.
  void apply(const RecordLocation& location, const RecordHeader& header, Bytes entries);

  // The lowest position that this group needs: that of its first entry's record, or of its last record.
  Position needs() const;
  uint64_t live_bytes() const { return live_bytes_; }

  // Asserts the invariants.
  void check() const;

 private:
  void apply_rewritten(const RecordLocation& location, const RecordHeader& header, Bytes entries);
  void add_terms(Bytes entries);

  raft::EntryId before_first_;       // the entry before the first one kept
  Index last_ = 0;                   // of the last entry kept; before_first_.index: none is kept
  std::vector<raft::TermRun> runs_;  // terms of the entries kept, by first index
  std::deque<RecordLocation> locations_;  // of the entries kept, by index, without gaps
  uint64_t live_bytes_ = 0;               // of the records in locations_
};

}  // namespace bop::log

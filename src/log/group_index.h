// The log's index of one group: where its entries are, and the values of its last record.
#pragma once

#include <cstdint>
#include <deque>
#include <vector>

#include "log/checkpoints.h"
#include "log/position.h"
#include "log/record.h"
#include "raft/types.h"

namespace bop::log {

// Consecutive entries in one record. Entries that were truncated, compacted or rewritten are still in the record,
// but are skipped when it is read.
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
  Checkpoints checkpoints;

  const raft::EntryId& before_first() const { return before_first_; }
  Index last() const { return last_; }
  const std::vector<raft::TermRun>& runs() const { return runs_; }
  const std::deque<RecordLocation>& locations() const { return locations_; }
  bool empty() const { return last_ == before_first_.index; }

  // The term of a kept entry, or of the one before the first; 0 for any other index.
  Term term_at(Index index) const;
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

  // These entries, which are kept, were rewritten at `location`.
  void move(const RecordLocation& location);
  // The first consecutive entries that are kept in that segment.
  struct Range {
    Index first = 1;
    Index last = 0;  // first - 1: none
    bool empty() const { return last < first; }
  };
  Range first_in(uint32_t segment) const;

  // The lowest segment that this group needs: of an entry's record, of a checkpoint or of its last record; 0: none.
  uint32_t needed_segment() const;
  // Bytes of the records that this group needs.
  uint64_t live_bytes() const { return live_bytes_ + checkpoints.bytes(); }

  // Asserts the invariants.
  void check() const;

 private:
  using Locations = std::deque<RecordLocation>;

  void count(const RecordLocation& location);
  void discount(const RecordLocation& location);
  Locations::iterator erase(Locations::iterator location);

  raft::EntryId before_first_;       // the entry before the first one kept
  Index last_ = 0;                   // of the last entry kept; before_first_.index: none is kept
  std::vector<raft::TermRun> runs_;  // terms of the entries kept, by first index
  Locations locations_;              // of the entries kept, by index, without gaps
  uint64_t live_bytes_ = 0;          // of the records in locations_
  // How many of locations_ are in a segment, by segment; a segment with none is not listed. The order of entries is
  // not that of their segments once some were rewritten.
  std::vector<std::pair<uint32_t, size_t>> segments_;
};

}  // namespace bop::log

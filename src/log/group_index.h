// What the log knows about one group: where its entries are, and the last values in its records.
#pragma once

#include <cstdint>
#include <deque>
#include <vector>

#include "log/position.h"
#include "log/record.h"
#include "raft/types.h"

namespace bop::log {

// A stretch of consecutive entries within one record. What a truncation or a release cut off is
// still in the record, and skipped when it is read.
struct RecordLocation {
  Position frame = 0;
  uint32_t offset = 0;  // of the record in the frame's stream
  uint32_t bytes = 0;
  Index first = 0;
  uint32_t count = 0;

  // Unique: a frame's stream is shorter than its blocks.
  Position position() const { return frame + offset; }
  Index last() const { return first + count - 1; }
};

class GroupIndex {
 public:
  raft::HardState hard;  // of the last record
  // Of the last record: term of the leader whose log this group's log is a prefix of.
  Term leader_term = 0;
  Position last_record = 0;  // 0: the group has no record
  int64_t last_time_ns = 0;  // leader's time in the last entry; never falls

  const raft::EntryId& before_first() const { return before_first_; }
  Index last() const { return last_; }
  const std::vector<raft::TermRun>& runs() const { return runs_; }
  const std::deque<RecordLocation>& locations() const { return locations_; }
  bool empty() const { return last_ == before_first_.index; }

  // The term of an entry kept, or of the one before them; 0 of any other.
  Term term_at(Index index) const;
  // Whether a record's first entry is the next one or replaces one of ours. It need not be when the
  // log begins in the middle of a group's history: a record below the first one that is kept, or one
  // behind the rest of a rewriting that a crash cut off. What it follows was not needed any more.
  bool joins(const RecordHeader& header) const;
  // Of one that joins: whether the entry before its first is the one it names.
  bool agrees(const RecordHeader& header) const;

  // The group's log restarts after `before_first`.
  void restart(raft::EntryId before_first);
  // Entries from `first` on are no more.
  void truncate(Index first);
  // `place` holds the next entries, whose runs of terms are given one by one with add_term.
  void add_location(const RecordLocation& location);
  void add_term(Index index, Term term) {
    if (runs_.empty() || runs_.back().term != term) runs_.push_back({index, term});
  }
  // The last place grew by the entries that follow it.
  void extend_last(uint32_t count, uint32_t bytes);
  // Entries up to `through` are needed no more.
  void release(raft::EntryId through);

  void replace_locations(std::deque<RecordLocation> locations);

  // A record that was read back, and its body, checked. One that does not join restarts it.
  void apply(const RecordLocation& location, const RecordHeader& header, Bytes entries);

  // The lowest position that this group needs: of its first entry's record, or of its last record.
  Position needs() const;
  uint64_t live_bytes() const { return live_bytes_; }

  // Asserts what must always hold.
  void check() const;

 private:
  void apply_rewritten(const RecordLocation& location, const RecordHeader& header, Bytes entries);
  void add_terms(Bytes entries);

  raft::EntryId before_first_;       // the entry in front of the first one kept
  Index last_ = 0;                   // of the last entry kept; before_first_.index: none is
  std::vector<raft::TermRun> runs_;  // terms of the entries kept, by first index
  std::deque<RecordLocation> locations_;
  uint64_t live_bytes_ = 0;  // of the records that locations_ names
};

}  // namespace bop::log

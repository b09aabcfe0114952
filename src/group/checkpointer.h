// When a replica writes checkpoints, and how far its log may be compacted:
//
//   C, the entry of a checkpoint in the log     <=     D, the last entry that the machine's store holds durably
//
// Recovery uses the newest checkpoint with C <= D, and needs the entries after it. So nothing above that C is compacted,
// and a third checkpoint is written only when the store has reached the second, since the log keeps two.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "log/log.h"
#include "raft/types.h"

namespace bop::group {

// Of a group's checkpoints, by index, the one that it recovers from when its machine's store holds what is up to entry
// `held`; nullptr: there is none.
const log::Checkpoint* checkpoint_for(std::span<const log::Checkpoint> kept, Index held);

class Checkpointer {
 public:
  // Another one is due when that many bytes of entries were appended since the newest.
  Checkpointer(GroupId group, log::Log& log, size_t due_after_bytes)
      : group_(group), log_(log), due_after_bytes_(due_after_bytes) {}

  // The log has them, by index.
  void begin(std::vector<Index> kept);
  void appended(size_t bytes) { bytes_since_ += bytes; }

  // The machine's store holds what is up to entry `held`. Returns the C up to which the log may be compacted.
  Index compaction_limit(Index held);
  // Whether one as of the entry `at` is to be written now; `wanted`: so that more can be compacted.
  bool due(Index at, Index held, bool wanted) const;
  // An error is LOG_FULL, DISK_FULL or OVERLOADED (it is due again later), or one that halts the replica.
  Status write(raft::EntryId at, Bytes bytes);

  Index newest() const { return kept_.back(); }
  // The C from which a recovery would go on now; 0: it is as of the group's beginning, or there is none.
  Index usable(Index held) const;
  void check_invariants() const;

 private:
  const GroupId group_;
  log::Log& log_;
  const size_t due_after_bytes_;
  std::vector<Index> kept_{0};  // one or two, by index
  size_t bytes_since_ = 0;
};

}  // namespace bop::group

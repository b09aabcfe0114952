// The checkpoints of one group that its log keeps, with their bytes: they are small (max_checkpoint_bytes), and
// rewriting them needs no read. The newest two that are complete are kept, since a machine's store may not have
// reached the newest one yet.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/bytes.h"
#include "log/position.h"
#include "log/record.h"
#include "raft/types.h"

namespace bop::log {

inline constexpr size_t max_checkpoint_bytes = 1 << 20;

struct StoredCheckpoint {
  raft::EntryId at;       // the entry as of which it is
  Position position = 0;  // of its first part
  std::vector<uint8_t> bytes;
};

class Checkpoints {
 public:
  // The group's next record is a part of a checkpoint. It counts when the last part is added.
  void add(Position position, const RecordHeader& header, Bytes part);
  // Recovery needs none older than that of entry `index`. The newest one is always kept.
  void drop_below(Index index);
  // Whatever lacks parts never gets them: the process that wrote it ended.
  void drop_partial() { partial_.reset(); }

  // By index; at most two.
  const std::vector<StoredCheckpoint>& complete() const { return complete_; }
  // The lowest position of a record that is needed; 0: none is.
  Position needs() const;
  Position newest() const { return complete_.empty() ? 0 : complete_.back().position; }
  size_t bytes() const;

  void check() const;  // asserts the invariants

 private:
  struct Partial {
    StoredCheckpoint checkpoint;
    Part next;          // that is expected
    Position last = 0;  // of the last part added
  };

  void complete(StoredCheckpoint checkpoint);

  std::vector<StoredCheckpoint> complete_;
  std::optional<Partial> partial_;
};

}  // namespace bop::log

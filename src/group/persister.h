// Writes one replica's hard state and entries to the shard's log, keeps what the log had no space for, and
// tells the log what it may compact.
//
// The core's marks become durable in the order in which they were emitted. A write that the log refused for
// lack of space is held back and tried again later. Nothing of it was written, so this is not a retry of
// a failed write. What the core emits meanwhile is added to it.
#pragma once

#include <deque>
#include <optional>
#include <string>

#include "group/inbox.h"
#include "log/log.h"
#include "raft/core.h"

namespace bop::group {

class Persister {
 public:
  Persister(GroupId group, std::string name, log::Log& log, Inbox& inbox)
      : group_(group), name_(std::move(name)), log_(log), inbox_(inbox) {}

  // The log begins after `index`.
  void begin(Index index) { compacted_ = index; }

  // Appends to the log what `update` requests to persist. On an error the replica must halt.
  Status persist(raft::Update& update, const raft::Core& core);
  // The log becomes empty and begins after `update.restart`, an entry of that time; before persist(), which reports the
  // mark when this is durable, too. On an error the replica must halt.
  Status restart(const raft::Update& update, int64_t time_ns, Bytes checkpoint);
  // Tries again to write what was held back. Uses `update` as scratch memory.
  Status write_held_back(raft::Update& update, const raft::Core& core);
  // Everything up to the mark `number` is durable; passed to the core as Persisted.
  void durable(uint64_t number);
  // The replica halted: nothing is written any more.
  void stop();

  // Why a write is held back; proposals are refused with this error.
  const std::optional<Error>& log_full() const { return log_full_; }
  bool holds_back() const { return held_back_.number != 0; }

  // No replica needs this log's entries up to `through`. The core is told.
  void compact(const raft::Core& core, Index through);
  Index compacted() const { return compacted_; }

  Index first() const { return compacted_ + 1; }  // of the entries that the log keeps

  void check_invariants(const raft::Core& core) const;

 private:
  Status write(raft::Update& update, const raft::Core& core, const raft::PersistMark& mark,
               Index first);

  const GroupId group_;
  const std::string name_;  // of the group, for messages
  log::Log& log_;
  Inbox& inbox_;
  std::deque<raft::PersistMark> outstanding_;  // emitted and not durable, in order
  raft::PersistMark held_back_;                // the write that is held back; number 0: none
  Index held_back_first_ = 0;                  // its first entry; 0: only the hard state
  std::optional<Error> log_full_;
  Index compacted_ = 0;  // the log was told to compact up to this index
};

}  // namespace bop::group

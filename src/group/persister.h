// What one replica has in the shard's log: gives it what the core wants persisted, keeps what the log had
// no room for, and tells it what may be compacted.
//
// The core's marks become durable in the order in which they were emitted. A write that the log refused
// for want of room is held back: nothing of it was written, so writing it later is no retry of a failed
// write, and what the core emits meanwhile joins it.
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

  // The log begins behind `index`.
  void begin(Index index) { compacted_ = index; }

  // Gives the log what `update` wants persisted. An error halts the replica.
  Status persist(raft::Update& update, const raft::Core& core);
  // Tries again what was held back. Uses `update` as scratch.
  Status write_held_back(raft::Update& update, const raft::Core& core);
  // Everything up to the mark `number` is durable: the core hears it.
  void durable(uint64_t number);
  // The replica halted: nothing is written any more.
  void stop();

  // Why something is held back; proposals are refused with it.
  const std::optional<Error>& log_full() const { return log_full_; }
  bool holds_back() const { return held_back_.number != 0; }

  // No replica needs the entries up to `through` from this log.
  void compact(const raft::Core& core, Index through);

  void check_invariants(const raft::Core& core) const;

 private:
  Status write(raft::Update& update, const raft::Core& core, const raft::PersistMark& mark,
               Index first);

  const GroupId group_;
  const std::string name_;  // of the group, for messages
  log::Log& log_;
  Inbox& inbox_;
  std::deque<raft::PersistMark> outstanding_;  // emitted and not durable, in order
  raft::PersistMark held_back_;                // number 0: nothing is
  Index held_back_first_ = 0;                  // its first entry; 0: hard state alone
  std::optional<Error> log_full_;
  Index compacted_ = 0;  // the log was told that nothing up to here is needed
};

}  // namespace bop::group

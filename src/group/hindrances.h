// Finds out what keeps a replica from serving as leader (raft::Hindered), and logs when that begins and ends.
#pragma once

#include <optional>
#include <string>

#include "base/ids.h"
#include "base/result.h"
#include "base/time.h"
#include "raft/record.h"

namespace bop::group {

class Hindrances {
 public:
  // `name`: of the group, for messages. Less than `patience` is no hindrance where it may pass by itself.
  Hindrances(std::string name, Duration patience) : name_(std::move(name)), patience_(patience) {}

  // What the log and the machine say now.
  struct Facts {
    Instant now = 0;
    Index commit = 0;
    Index applied = 0;
    Index compacted = 0;             // the log begins after this entry
    bop_status log_full = BOP_OK;    // LOG_FULL, DISK_FULL: the log takes no commands
    const char* obstacle = nullptr;  // why the machine applies nothing; nullptr: nothing hinders it
    bool verifying = false;          // it verifies its stored state, as after every start
  };
  // Once a step. What the core has to be told; nullopt: nothing changed.
  std::optional<raft::Cause> check(const Facts& facts);

  // Entries from `index` on, which `peer` needs, could not be read from the log.
  void not_read(Index index, NodeId peer, const Error& error);
  void read(Index first, Index last);

  raft::Cause cause() const { return cause_; }
  // The machine is what hinders it.
  bool of_machine() const {
    return cause_ == raft::Cause::machine_held_up || cause_ == raft::Cause::machine_behind;
  }
  // For people; empty: nothing hinders the replica.
  const std::string& text() const { return text_; }

 private:
  raft::Cause find(const Facts& facts);
  bool is_behind(const Facts& facts);
  std::string describe(const Facts& facts) const;

  const std::string name_;
  const Duration patience_;
  raft::Cause cause_ = raft::Cause::none;
  std::string text_;

  Index unreadable_ = 0;  // the last entry that could not be read; 0: none
  std::string unreadable_why_;
  // When the mark was set, the entries up to it were committed. While this process stands still, or the replica
  // takes no step, the machine has no time to apply them.
  Index mark_ = 0;
  Instant marked_at_ = 0;
  Instant checked_at_ = 0;
  Instant log_full_since_ = never;
};

}  // namespace bop::group

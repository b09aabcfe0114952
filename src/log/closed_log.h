// Stands in for a log that cannot be opened: refuses everything with the reason, so that the replicas of
// its shard need no special case. They are halted and never append.
#pragma once

#include "log/log.h"

namespace bop::log {

class ClosedLog final : public Log {
 public:
  ClosedLog(Error why, port::Post& post) : why_(std::move(why)), post_(post) {}

  const Recovery& recovery() const override { return recovery_; }
  void attach(GroupId, Appender*) override {}
  Status append(const Append&) override { return std::unexpected(why_); }
  Status append_checkpoint(GroupId, raft::EntryId, Bytes) override { return std::unexpected(why_); }
  Status restart(const Restart&) override { return std::unexpected(why_); }
  void flush() override {}
  Status reserve(GroupId, size_t, bool) override { return std::unexpected(why_); }
  size_t largest_payload() const override { return 0; }
  void read(GroupId group, Index first, size_t max_bytes,
            std::function<void(Result<std::vector<raft::Entry>>)> done) override;
  void compact(GroupId, raft::EntryId) override {}
  void drop_checkpoints(GroupId, Index) override {}
  bool healthy(Instant, Duration) const override { return false; }
  bool idle() const override { return true; }
  uint64_t used_bytes() const override { return 0; }
  Capacity capacity() const override;
  bool crowded() const override { return false; }
  const Counters& counters() const override { return counters_; }
  void set_max_bytes(uint64_t) override {}
  void check() const override {}

 private:
  const Error why_;
  port::Post& post_;
  const Recovery recovery_;
  const Counters counters_;
};

}  // namespace bop::log

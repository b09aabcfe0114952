// Whether a shard's log keeps up, and what else is wrong with its log and groups.
//
// A stalled disk loses leadership: with a write outstanding for half an election timeout the shard is
// unhealthy, its replicas give up leading, and peers learn of it by the next heartbeat.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>

#include "log/log.h"
#include "node/replicas.h"
#include "node/shard.h"

namespace bop::node {

class ShardHealth {
 public:
  // `log_error`: why the log could not be opened.
  ShardHealth(const ShardOptions& options, const ShardPorts& ports, const log::Log& log,
              const std::optional<Error>& log_error, const Replicas& replicas);

  // Checks the log from now on.
  void start() { check(); }
  bool healthy() const { return healthy_; }
  // Called when healthy() changed.
  void on_change(std::function<void(bool healthy)> changed) { changed_ = std::move(changed); }

  // With the reports of at most `most_groups` groups, the next ones with each call.
  ShardReport report(size_t most_groups);

  void check_invariants() const;

 private:
  void check();
  void log_change() const;
  void check_log(std::vector<ActiveCondition>& out) const;
  void check_group(const group::Replica& replica, std::vector<ActiveCondition>& out);

  const ShardOptions& options_;
  const ShardPorts& ports_;
  const log::Log& log_;
  const std::optional<Error>& log_error_;
  const Replicas& replicas_;
  const std::unique_ptr<port::Timer> timer_;
  bool healthy_ = true;
  std::function<void(bool)> changed_;
  std::map<GroupId, Instant> leaderless_since_;  // groups for which no leader is known
  GroupId reported_group_ = 0;                   // the last one of the last report
};

}  // namespace bop::node

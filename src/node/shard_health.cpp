#include "node/shard_health.h"

#include <fmt/format.h>

#include "base/assert.h"
#include "base/logging.h"
#include "node/status.h"

namespace bop::node {

namespace {

// An election that nothing disturbs takes at most two timeouts.
constexpr int64_t leaderless_timeouts = 3;

bool nearly_full(const log::Log::Capacity& capacity) {
  return capacity.obstacle != BOP_OK || capacity.needed_bytes > capacity.max_bytes / 4 * 3;
}

proto::GroupReport report_of(const group::Replica& replica) {
  const group::Replica::Status status = replica.status();
  proto::GroupReport out;
  out.id = replica.id();
  out.term = status.term;
  out.commit = status.commit;
  out.applied = status.applied;
  out.last = status.last;
  if (status.hash) {
    out.hash_index = status.hash->index;
    out.hash_low = status.hash->low;
    out.hash_high = status.hash->high;
  }
  out.role = static_cast<uint8_t>(status.role);
  if (status.ready) out.flags |= proto::GroupReport::ready;
  if (status.halted) out.flags |= proto::GroupReport::halted;
  if (status.halted && status.halted->code == BOP_E_SUSPECT)
    out.flags |= proto::GroupReport::suspect;
  return out;
}

}  // namespace

ShardHealth::ShardHealth(const ShardOptions& options, const ShardPorts& ports, const log::Log& log,
                         const std::optional<Error>& log_error, const Replicas& replicas)
    : options_(options),
      ports_(ports),
      log_(log),
      log_error_(log_error),
      replicas_(replicas),
      timer_(ports.timers.make_timer([this] { check(); })) {}

void ShardHealth::check() {
  const Instant now = ports_.clock.now();
  const bool healthy = log_.healthy(now, options_.raft.election_timeout / 2);
  if (healthy != healthy_) {
    healthy_ = healthy;
    if (!log_error_) log_change();
    for (group::Replica& replica : replicas_.all()) replica.set_healthy(healthy);
    if (changed_) changed_(healthy);
  }
  timer_->arm(now + options_.raft.election_timeout / 8);
}

void ShardHealth::log_change() const {
  logging::warning("shard {}: {}", options_.shard,
                   healthy_ ? "the log's writes complete in time again"
                            : "a write to the log is late or failed; this shard gives up leading");
}

ShardReport ShardHealth::report(size_t most_groups) {
  ShardReport out;
  check_log(out.conditions);
  for (const group::Replica& replica : replicas_.all()) check_group(replica, out.conditions);
  for (const group::Replica* replica : replicas_.next(reported_group_, most_groups)) {
    out.groups.push_back(report_of(*replica));
    reported_group_ = replica->id();
  }
  return out;
}

void ShardHealth::check_log(std::vector<ActiveCondition>& out) const {
  if (log_error_) {
    out.push_back({Condition::log_unavailable,
                   0,
                   {},
                   fmt::format("{}; {} not served", log_error_->to_string(),
                               groups_of_shard(options_, options_.shard))});
    return;
  }
  const log::Log::Capacity capacity = log_.capacity();
  const auto add = [&](Condition condition, const std::string& what) {
    out.push_back({condition, 0, {}, fmt::format("shard {}: {}", options_.shard, what)});
  };
  const std::string use = fmt::format("of its {} MiB, {} MiB are still needed",
                                      capacity.max_bytes >> 20, capacity.needed_bytes >> 20);
  if (capacity.obstacle == BOP_E_LATCHED)
    add(Condition::log_latched, "a write failed: " + capacity.detail);
  else if (!healthy_)
    add(Condition::log_stalled,
        capacity.detail.empty() ? "a write to the log takes longer than half an election timeout"
                                : capacity.detail);
  if (capacity.obstacle == BOP_E_DISK_FULL) {
    if (capacity.full)
      add(Condition::disk_full, "the log cannot grow and takes no more commands");
    else
      add(Condition::disk_nearly_full, "the log cannot grow, its last segments are being used up");
  } else if (capacity.full) {
    add(Condition::log_full, "the log takes no more commands, " + use);
  } else if (capacity.obstacle != BOP_E_LATCHED && nearly_full(capacity)) {
    add(Condition::log_nearly_full, "the log is nearly full, " + use);
  }
}

void ShardHealth::check_group(const group::Replica& replica, std::vector<ActiveCondition>& out) {
  const group::Replica::Status status = replica.status();
  const auto add = [&](Condition condition, std::string detail) {
    out.push_back({condition, replica.id(), replica.name(), std::move(detail)});
  };
  if (status.halted) {
    leaderless_since_.erase(replica.id());
    // The condition of the log covers all its groups.
    if (log_error_ || status.halted->code == BOP_E_LATCHED) return;
    if (status.halted->code == BOP_E_SUSPECT)
      return add(Condition::suspect,
                 fmt::format("{} at {}: {}", status.file, status.offset, status.halted->detail));
    return add(Condition::halted, status.halted->to_string());
  }
  if (!status.obstacle.empty())
    add(Condition::behind, "the machine applies nothing: " + status.obstacle);
  else if (status.hindrance == raft::Cause::machine_behind)
    add(Condition::behind, status.hindrance_text);
  if (status.hindrance == raft::Cause::entry_unreadable)
    add(Condition::unreadable, status.hindrance_text);
  if (status.leader != 0) {
    leaderless_since_.erase(replica.id());
    return;
  }
  const Instant now = ports_.clock.now();
  const Instant since = leaderless_since_.try_emplace(replica.id(), now).first->second;
  if (now - since >= leaderless_timeouts * options_.raft.election_timeout)
    add(Condition::no_leader,
        fmt::format("for {} s, term {}", (now - since) / seconds, status.term));
}

void ShardHealth::check_invariants() const {
  for (const auto& [group, since] : leaderless_since_) {
    BOP_ASSERT(replicas_.find(group) != nullptr);
    BOP_ASSERT_LE(since, ports_.clock.now());
  }
}

}  // namespace bop::node

#include "node/watch.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/assert.h"
#include "node/status.h"

namespace bop::node {

namespace {

constexpr Duration behind_limit = 5 * seconds;
// Checks, not time: a process that stood still as a whole has missed none.
constexpr unsigned most_missed_reports = 4;
// A second process calls at least once a second.
constexpr Duration second_process_kept = 10 * seconds;
// The segments that each shard's log is about to make.
constexpr uint64_t segments_ahead = 4;

std::string list_of(const std::vector<NodeId>& nodes) {
  return fmt::format("{} {}", nodes.size() == 1 ? "node" : "nodes", fmt::join(nodes, ", "));
}

}  // namespace

Watch::Watch(const ShardOptions& options, size_t shards)
    : options_(options),
      shards_of_node_(shards),
      patience_(2 * options.raft.election_timeout),
      missed_reports_(shards) {}

void Watch::on_shard_report(uint32_t shard, std::vector<ActiveCondition> conditions) {
  BOP_ASSERT_LT(shard, shards_of_node_);
  shards_[shard] = std::move(conditions);
  missed_reports_[shard] = 0;
}

void Watch::refused_by(NodeId peer, const Error& reason) {
  refusals_.insert_or_assign(peer, reason);
}

void Watch::second_process(NodeId peer, const std::string& address, Instant now) {
  second_processes_[peer] = {address, now};
}

NodeId Watch::second_process_of(Instant now) const {
  for (const auto& [peer, second] : second_processes_)
    if (now - second.at < second_process_kept) return peer;
  return 0;
}

// Whether it has been true, at each check, for `limit`.
bool Watch::held(Condition condition, GroupId group, bool now_true, Duration limit, Instant now) {
  if (!now_true) {
    since_.erase({condition, group});
    return false;
  }
  return now - since_.try_emplace({condition, group}, now).first->second >= limit;
}

void Watch::check_quorums(const std::function<bool(NodeId)>& alive, Instant now,
                          std::vector<ActiveCondition>& out) {
  std::vector<NodeId> all{options_.self};
  for (const PeerSpec& peer : options_.peers) all.push_back(peer.id);
  for (const GroupSpec& group : options_.groups) {
    const std::vector<NodeId>& voters = group.voters.empty() ? all : group.voters;
    std::vector<NodeId> silent;
    for (const NodeId voter : voters)
      if (voter != options_.self && !alive(voter)) silent.push_back(voter);
    const size_t heard = voters.size() - silent.size();
    const size_t quorum = voters.size() / 2 + 1;
    if (!held(Condition::quorum_lost, group.id, heard < quorum, patience_, now)) continue;
    out.push_back({Condition::quorum_lost, group.id, group.name,
                   fmt::format("{} of {} voters are heard, {} are needed; not heard: {}", heard,
                               voters.size(), quorum, list_of(silent))});
  }
  const bool alone =
      !options_.peers.empty() &&
      std::ranges::none_of(options_.peers, [&](const PeerSpec& peer) { return alive(peer.id); });
  if (held(Condition::alone, 0, alone, patience_, now))
    out.push_back({Condition::alone, 0, {}, "no other node is heard"});
}

void Watch::check_identity(const ClusterView& view, const std::function<bool(NodeId)>& alive,
                           Instant now, std::vector<ActiveCondition>& out) const {
  std::string refused, in_use;
  for (const auto& [peer, reason] : refusals_) {
    const auto note = [&](std::string& to) {
      to += fmt::format("{}node {}: {}", to.empty() ? "" : "; ", peer, reason.to_string());
    };
    note(refused);
    if (reason.code == BOP_E_DIRECTORY_IN_USE) note(in_use);
  }
  const std::vector<NodeId> who = view.who_sees_a_second_process(now - second_process_kept);
  if (!who.empty() && in_use.empty())
    in_use = list_of(who) + " sees another process run as this node and refuses it";
  // A single peer that refuses a node which hears a majority is the one that is wrong. Of two processes with one
  // identity, the one that came first hears a majority and stays ready.
  const auto heard = static_cast<size_t>(
      std::ranges::count_if(options_.peers, [&](const PeerSpec& peer) { return alive(peer.id); }));
  const bool outvoted = heard + 1 < (options_.peers.size() + 1) / 2 + 1;
  if (!refused.empty() && outvoted) out.push_back({Condition::locked_out, 0, {}, refused});
  if (!in_use.empty()) out.push_back({Condition::identity_in_use, 0, {}, in_use});
  for (const auto& [peer, second] : second_processes_) {
    if (now - second.at >= second_process_kept) continue;
    out.push_back(
        {Condition::peer_identity_in_use,
         0,
         {},
         fmt::format("two processes run as node {}: one is connected, another at {} is refused; "
                     "was a data directory copied?",
                     peer, second.address)});
    break;  // one a node and condition; the others are in the log
  }
}

std::vector<ActiveCondition> Watch::check(const ClusterView& view,
                                          const std::function<bool(NodeId)>& alive, Instant now) {
  std::vector<ActiveCondition> out;
  check_quorums(alive, now, out);
  check_identity(view, alive, now, out);
  const auto has = [&](Condition condition, GroupId group) {
    return std::ranges::any_of(out, [&](const ActiveCondition& active) {
      return active.condition == condition && active.group == group;
    });
  };
  for (uint32_t shard = 0; shard < missed_reports_.size(); ++shard)
    if (++missed_reports_[shard] > most_missed_reports)
      out.push_back(shard_stalled(options_, shard));
  bool disk_full = false;
  for (const auto& [shard, conditions] : shards_) {
    for (const ActiveCondition& active : conditions) {
      disk_full = disk_full || active.condition == Condition::disk_full;
      // A group without a quorum has no leader: one reason is enough.
      if (active.condition == Condition::no_leader && has(Condition::quorum_lost, active.group))
        continue;
      out.push_back(active);
    }
  }
  const uint64_t wanted = segments_ahead * options_.log.segment_bytes * shards_of_node_;
  if (free_bytes_ < wanted && !disk_full)
    out.push_back({Condition::disk_nearly_full,
                   0,
                   {},
                   fmt::format("{} MiB are free, the logs take {} MiB at a time", free_bytes_ >> 20,
                               options_.log.segment_bytes * shards_of_node_ >> 20)});
  // A shard that knows why a machine is behind has reported it.
  for (ActiveCondition& active : view.behind(behind_limit, now))
    if (!has(Condition::quorum_lost, active.group) && !has(Condition::behind, active.group))
      out.push_back(std::move(active));
  return out;
}

}  // namespace bop::node

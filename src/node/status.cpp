#include "node/status.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <map>

#include "base/assert.h"

namespace bop::node {

namespace {

KnownGroup known_group(const GroupStatus& from) {
  KnownGroup out;
  out.name = from.name;
  out.id = from.id;
  out.role = from.role;
  out.term = from.term;
  out.commit = from.commit;
  out.applied = from.applied;
  out.last = from.last;
  out.ready = from.ready;
  out.halted = from.halted != BOP_OK;
  out.suspect = from.halted == BOP_E_SUSPECT;
  out.has_hash = from.has_hash;
  out.hash_index = from.hash_index;
  out.hash_low = from.hash_low;
  out.hash_high = from.hash_high;
  return out;
}

KnownNode this_node(const NodeStatus& status) {
  KnownNode out;
  out.id = status.node;
  out.address = status.address;
  out.native = status.native;
  out.version = status.version;
  out.self = true;
  out.reachable = true;
  out.reported = true;
  out.heard_ago = 0;
  out.uptime = status.uptime;
  for (const ActiveCondition& active : status.conditions)
    if (!std::ranges::count(out.conditions, active.condition))
      out.conditions.push_back(active.condition);
  for (const GroupStatus& group : status.groups) out.groups.push_back(known_group(group));
  return out;
}

void set_lags(std::vector<KnownNode>& nodes) {
  std::map<GroupId, Index> committed;
  for (const KnownNode& node : nodes)
    for (const KnownGroup& group : node.groups)
      committed[group.id] = std::max(committed[group.id], group.commit);
  for (KnownNode& node : nodes)
    for (KnownGroup& group : node.groups) {
      const Index most = committed[group.id];
      group.lag = most > group.applied ? most - group.applied : 0;
    }
}

// Only hashes of one index can be compared.
void compare_hashes(NodeStatus& status) {
  for (GroupStatus& own : status.groups) {
    if (!own.has_hash) continue;
    for (const KnownNode& node : status.nodes) {
      for (const KnownGroup& group : node.groups) {
        if (group.id != own.id || !group.has_hash || group.hash_index != own.hash_index) continue;
        own.hash_nodes.push_back(node.id);
        own.hashes_differ |= group.hash_low != own.hash_low || group.hash_high != own.hash_high;
      }
    }
    if (own.hash_nodes.size() < 2) own.hash_nodes.clear();
  }
}

bool is_covered(const NodeStatus& status, GroupId group) {
  return std::ranges::any_of(status.conditions, [&](const ActiveCondition& active) {
    return active.group == group && blocks(active.condition);
  });
}

void add(NodeStatus& all, NodeStatus part) {
  std::ranges::move(part.groups, std::back_inserter(all.groups));
  std::ranges::move(part.shards, std::back_inserter(all.shards));
  all.log_used_bytes += part.log_used_bytes;
  all.stopping = all.stopping || part.stopping;
  if (!part.log_latched) return;
  all.log_latched = true;
  all.log_error = part.log_error;
}

}  // namespace

void complete(NodeStatus& status) {
  status.nodes.push_back(this_node(status));
  std::ranges::sort(status.nodes, {}, &KnownNode::id);
  set_lags(status.nodes);
  compare_hashes(status);
}

NodeStatus merged(const ShardOptions& options, std::vector<std::optional<NodeStatus>> parts) {
  const auto answered = [](const std::optional<NodeStatus>& part) { return part.has_value(); };
  BOP_ASSERT(std::ranges::any_of(parts, answered));
  std::vector<uint32_t> stalled;
  NodeStatus all;
  for (uint32_t shard = 0; shard < parts.size(); ++shard) {
    if (!parts[shard])
      stalled.push_back(shard);
    else if (all.shards.empty())
      all = std::move(*parts[shard]);
    else
      add(all, std::move(*parts[shard]));
  }
  std::ranges::sort(all.groups, {}, &GroupStatus::id);
  // What the node itself noticed of stalled shards is older.
  std::erase_if(all.conditions, [](const ActiveCondition& active) {
    return active.condition == Condition::shard_stalled;
  });
  for (const uint32_t shard : stalled) all.conditions.push_back(shard_stalled(options, shard));
  complete(all);
  return all;
}

std::string groups_of_shard(const ShardOptions& options, uint32_t shard) {
  std::vector<std::string> names;
  for (const GroupSpec& group : options.groups)
    if (group.shard == shard) names.push_back(group.name);
  if (names.empty()) return "no group is";
  return fmt::format("the {} {} {}", names.size() == 1 ? "group" : "groups", fmt::join(names, ", "),
                     names.size() == 1 ? "is" : "are");
}

ActiveCondition shard_stalled(const ShardOptions& options, uint32_t shard) {
  return {Condition::shard_stalled,
          0,
          {},
          fmt::format("shard {}: its thread does not run; {} not served", shard,
                      groups_of_shard(options, shard))};
}

std::vector<std::string> not_ready_reasons(const NodeStatus& status) {
  std::vector<std::string> out;
  if (status.stopping) out.emplace_back("this node is stopping");
  for (const ActiveCondition& active : status.conditions) {
    if (!blocks(active.condition)) continue;
    out.push_back(active.group == 0
                      ? fmt::format("{}: {}", name_of(active.condition), active.detail)
                      : fmt::format("{}: group {}: {}", name_of(active.condition),
                                    active.group_name, active.detail));
  }
  for (const GroupStatus& group : status.groups) {
    if (group.ready || is_covered(status, group.id)) continue;
    if (group.halted != BOP_OK)
      out.push_back(
          fmt::format("group {}: {}: {}", group.name, bop_error_name(group.halted), group.reason));
    else if (group.leader == 0)
      out.push_back(fmt::format("group {}: no leader is known yet", group.name));
    else
      out.push_back(fmt::format("group {}: catching up, entry {} is applied, {} is committed",
                                group.name, group.applied, group.commit));
  }
  return out;
}

}  // namespace bop::node

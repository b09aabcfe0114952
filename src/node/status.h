// The status of a node, made of those of its shards.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "node/options.h"
#include "node/service.h"

namespace bop::node {

// Adds this node to `nodes`, which has its peers; lags; and whether state hashes differ.
void complete(NodeStatus& status);

// The complete status of a node, of the parts of its shards, by shard. At least one is there; the groups of the
// others are missing, and a condition names them. What concerns the whole node is in the first shard's.
NodeStatus merged(const ShardOptions& options, std::vector<std::optional<NodeStatus>> parts);

// "the groups a, b are", of that shard, for sentences.
std::string groups_of_shard(const ShardOptions& options, uint32_t shard);
ActiveCondition shard_stalled(const ShardOptions& options, uint32_t shard);

}  // namespace bop::node

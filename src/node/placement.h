// Which shard of this node has which group: the data directory decides, since a group's log and store lie there
// (docs/formats/directory.md). The configuration places a group only before its first start.
#pragma once

#include <cstdint>
#include <vector>

#include "base/result.h"
#include "node/options.h"
#include "port/file.h"

namespace bop::node {

// Sets the shard of each group that the directory has, and warns where the configuration names another.
// BAD_CONFIG: the directory has a group that the configuration lacks, or on a shard beyond `shards`. DAMAGED: it
// has a group on two shards. Blocking, before the shards open.
Status place_groups(port::FileSystem& files, uint32_t shards, std::vector<GroupSpec>& groups);

}  // namespace bop::node

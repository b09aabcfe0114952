// Opens the log of a shard, for the directory and the groups that the options name.
#pragma once

#include <memory>

#include "log/log.h"
#include "node/shard.h"

namespace bop::node {

// Blocking. A log that is missing although the directory has served is DAMAGED: what it acknowledged is
// gone.
Result<std::unique_ptr<log::Log>> open_log(const ShardOptions& options, const ShardPorts& ports);

}  // namespace bop::node

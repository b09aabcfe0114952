// What a node's status says of the whole cluster, once the parts of its shards are together.
#pragma once

#include "node/service.h"

namespace bop::node {

// Adds this node to `nodes`, which has its peers; lags; and whether state hashes differ.
void complete(NodeStatus& status);

}  // namespace bop::node

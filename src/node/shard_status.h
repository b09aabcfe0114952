// The status of one shard; Node adds what concerns the whole node, CrossShardService the other shards.
#pragma once

#include "log/log.h"
#include "node/peer_frame_batcher.h"
#include "node/replicas.h"
#include "node/shard.h"
#include "snapshot/snapshots.h"

namespace bop::node {

SnapshotStatus snapshot_status(const snapshot::Stored& snapshot);

NodeStatus shard_status(const ShardOptions& options, const log::Log& log, const Replicas& replicas,
                        const PeerFrameBatcher& frames);

}  // namespace bop::node

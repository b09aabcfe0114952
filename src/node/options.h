// What the configuration and the data directory say of a node: the options of each module it is made of,
// whole, so that a key which is added to one of them is there for its module.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "base/ids.h"
#include "group/limits.h"
#include "log/options.h"
#include "machine/options.h"
#include "raft/config.h"

namespace bop::node {

struct GroupSpec {
  std::string name;
  GroupId id = 0;
  std::string machine = "kv";  // kind
  uint32_t shard = 0;
  std::vector<NodeId> voters;  // empty: all nodes
  std::vector<NodeId> learners;
  machine::Options machine_options;
  friend bool operator==(const GroupSpec&, const GroupSpec&) = default;
};

struct PeerSpec {
  NodeId id = 0;
  std::string address;      // HOST:PORT of its listener for nodes; the node only reports it
  std::string native = {};  // of its listener for native clients; empty: clients are not sent there
  friend bool operator==(const PeerSpec&, const PeerSpec&) = default;
};

// Equal on all shards of a node but for `shard`.
struct ShardOptions {
  std::array<uint8_t, 16> cluster{};
  NodeId self = 0;
  uint64_t incarnation = 0;  // of the data directory
  std::string version;
  std::string address, native;  // where this node is reached; reported in the status only
  uint32_t shard = 0;
  uint32_t shards = 1;
  std::vector<PeerSpec> peers;    // without this node
  std::vector<GroupSpec> groups;  // of the node, on whatever shard

  // The directory was formatted and never served: its log and groups are made now. When it has served,
  // a log or group that is missing is lost, and its replica stays out.
  bool fresh = false;

  raft::Config raft;     // of every group; the shard sets `self` and `seed`
  log::Options log;      // the shard sets `log_id` and `write_ns`
  group::Limits limits;  // of every group
  // Of snapshots that the node sends to others and receives.
  uint64_t snapshot_bytes_per_s = 50u << 20;
  // Of stored state that the node verifies in the background each second; 0: none.
  uint64_t scrub_bytes_per_s = 16u << 20;
  uint64_t peer_queue_bytes = 64u << 20;  // what the transport queues for a peer's bulk channel
  uint64_t seed = 0;                      // of election jitter
};

}  // namespace bop::node

// What those who serve clients (serve, capi) see of a shard: propose, query, status. One Service a
// shard; everything here belongs to the shard's thread. Requests for groups of another shard are passed on.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "base/time.h"
#include "node/condition.h"
#include "port/requests.h"

namespace bop::node {

using port::Completion;
using port::Outcome;
using port::Request;

// A snapshot on a node's disk.
struct SnapshotStatus {
  Index index = 0;
  Term term = 0;
  uint64_t bytes = 0;  // of its parts
  uint64_t parts = 0;
  std::string id;  // 32 hexadecimal digits
};

struct GroupStatus {
  std::string name;
  GroupId id = 0;
  std::string machine;  // kind
  std::string role;     // leader, follower, candidate, learner
  Term term = 0;
  NodeId leader = 0;  // 0: none known
  Index commit = 0, applied = 0, last = 0, durable = 0, machine_durable = 0;
  Index first = 0;                         // the first entry that is still in the log
  std::optional<SnapshotStatus> snapshot;  // the newest
  struct Installing {
    uint64_t bytes = 0;  // done
    uint64_t total = 0;  // 0: not known yet
  };
  std::optional<Installing> installing;  // of another node's snapshot
  bool ready = false;                    // knows a leader and has caught up with it
  bop_status halted = BOP_OK;            // why the replica takes no part any more
  std::string reason;                    // in words
  std::string file;                      // with SUSPECT, where, and the offset
  uint64_t offset = 0;
  bool has_hash = false;
  uint64_t hash_index = 0, hash_low = 0, hash_high = 0;
  // The nodes whose state's hash is known at hash_index, this one among them, when there are others.
  std::vector<NodeId> hash_nodes;
  bool hashes_differ = false;
  // The machine verifies its stored state, and answers nothing yet.
  bool verifying = false;
  uint64_t verified_bytes = 0, verify_bytes = 0;  // of that, and in total; 0: not known yet
  uint64_t scrubbed_bytes = 0, scrub_passes = 0;  // in the background, since the start
  uint64_t scrub_pass_ended_s = 0;                // the last complete pass, since 1970; 0: none
};

struct PeerStatus {
  NodeId id = 0;
  std::string address;
  bool control_up = false, bulk_up = false;
};

// A group on some node, as this node knows it.
struct KnownGroup {
  std::string name;
  GroupId id = 0;
  std::string role;
  Term term = 0;
  Index commit = 0, applied = 0, last = 0;
  uint64_t lag = 0;  // entries that are committed, as far as this node knows, and not applied there
  bool ready = false, halted = false, suspect = false;
  bool has_hash = false;
  uint64_t hash_index = 0, hash_low = 0, hash_high = 0;
};

// A node of the cluster, as this one knows it: itself, or by what the peer last reported.
struct KnownNode {
  NodeId id = 0;
  std::string address, native;  // of its ports for nodes and for native clients; empty: not known
  std::string version;          // empty: not known
  bool self = false;
  bool reachable = false;   // heard within the election timeout
  bool reported = false;    // what follows is known, if perhaps old
  Duration heard_ago = -1;  // -1: never
  Duration uptime = -1;     // -1: not known
  std::vector<Condition> conditions;
  std::vector<KnownGroup> groups;  // by id
};

// What a shard did since it was opened, and what its log holds now.
struct ShardCounts {
  uint32_t shard = 0;
  uint64_t turns = 0;  // that stepped a group
  uint64_t log_writes = 0, log_bytes = 0, log_records = 0, log_entries = 0;
  uint64_t log_seals = 0, log_segments = 0, log_rewritten = 0;
  uint64_t log_used_bytes = 0, log_needed_bytes = 0, log_max_bytes = 0;
  bool log_latched = false;
};

struct NodeStatus {
  std::string cluster;  // id, 32 hexadecimal digits
  NodeId node = 0;
  std::string version;
  std::string address, native;  // where this node is reached, as its peers are told
  bool stopping = false;        // it refuses new requests
  bool log_latched = false;
  std::string log_error;
  uint64_t log_used_bytes = 0;
  std::vector<GroupStatus> groups;  // by id
  std::vector<PeerStatus> peers;    // by id
  std::vector<ShardCounts> shards;  // by shard
  Duration uptime = 0;
  std::vector<ActiveCondition> conditions;
  std::vector<KnownNode> nodes;  // all of the cluster, by id
};

// Why a node is not ready, a line each; empty: it is. The groups without a leader or behind it, and the
// conditions that block.
std::vector<std::string> not_ready_reasons(const NodeStatus& status);

enum class SnapshotAction : uint8_t { take = 1, list = 2, verify = 3 };

class Service {
 public:
  virtual ~Service() = default;

  // NO_GROUP, with the names there are.
  virtual Result<GroupId> find_group(std::string_view name) const = 0;
  // The kind of machine that a group runs ("kv"); empty: there is no such group.
  virtual std::string_view machine_of(GroupId group) const = 0;
  // find_group for a front end that speaks one machine's commands: UNSUPPORTED, naming the machine,
  // when the group runs another. Its bytes would mean something else to that machine, or nothing.
  Result<GroupId> find_group_running(std::string_view machine, std::string_view name) const;

  // Proposes a command; forwarded to the leader by a follower (one hop, never sent twice).
  virtual void propose(Request request) = 0;
  // A linearizable read: confirmed by ReadIndex, answered from this node's own machine.
  virtual void query(Request request) = 0;

  // Of all shards; `done` is called later on this thread, within about a second: a shard whose thread does
  // not run is reported, not waited for. The node is ready when not_ready_reasons() of it are empty.
  virtual void status(std::function<void(NodeStatus)> done) = 0;

  // Of the group's replica on this node: takes a snapshot and returns it; lists all of them; or verifies the newest, and
  // returns it or nothing (DAMAGED or NOT_FOUND, naming the part). `done` is called later on this thread, perhaps after
  // hours, once, unless the node stops before. NO_GROUP; UNSUPPORTED: the machine makes none; OVERLOADED.
  using SnapshotsDone = std::function<void(Result<std::vector<SnapshotStatus>>)>;
  virtual void snapshots(GroupId group, SnapshotAction action, SnapshotsDone done) = 0;

  virtual Instant now() const = 0;
};

}  // namespace bop::node

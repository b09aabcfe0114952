// What keeps a node, or a group on it, from its full service: in the status, /readyz, the log and a metric.
//
// A condition is found by whoever sees it (a shard its log and groups, the node its peers), gathered by
// the node, and logged when it begins and ends.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/result.h"

namespace bop::node {

// The numbers are in reports to peers (docs/formats/peer.md) and are never reused.
enum class Condition : uint8_t {
  quorum_lost = 0,      // of a group: so few of its voters are heard that nothing can be committed
  no_leader = 1,        // of a group: no leader is known, though a majority is heard
  locked_out = 2,       // peers refuse this node by name
  alone = 3,            // no peer is heard
  identity_in_use = 4,  // another process runs as this node
  peer_identity_in_use = 5,  // two processes run as one peer
  log_latched = 6,           // a failed write closed the log
  log_stalled = 7,           // a write to the log does not end
  log_full = 8,              // the log has its configured size and takes no more commands
  log_nearly_full = 9,
  disk_full = 10,  // the log cannot grow: the file system has no space
  disk_nearly_full = 11,
  behind = 12,           // of a group: the machine lacks entries that were committed a while ago
  suspect = 13,          // of a group: the replica may have lost acknowledged data
  halted = 14,           // of a group: the replica stopped for another reason
  shard_stalled = 15,    // the thread of a shard does not run
  log_unavailable = 16,  // the log of a shard cannot be opened, and its groups are not served
  unreadable = 17,       // of a group: the log cannot read an entry that a peer needs
};
inline constexpr size_t condition_count = 18;

const char* name_of(Condition condition);
// Whether a node with it is not ready. The others warn of what comes, or of a peer.
bool blocks(Condition condition);

struct ActiveCondition {
  Condition condition{};
  GroupId group = 0;  // 0: of the node
  std::string group_name;
  std::string detail;  // for people: which nodes, how many entries, which file
};

// The first condition with this number among those of `bits` (NodeReport), for a peer's summary.
std::vector<Condition> conditions_of(uint64_t bits);
uint64_t bits_of(const std::vector<ActiveCondition>& conditions);

// Logs which conditions began and which ended since the last call. Their details may change in between.
class ConditionLog {
 public:
  void follow(const std::vector<ActiveCondition>& now);

 private:
  std::vector<ActiveCondition> active_;
};

}  // namespace bop::node

// The data directory: what makes it one node's and no other's. Byte table: docs/formats/directory.md.
//
//   (nothing) ──format──► fresh ──mark_served──► served
//                           │                      │
//                           └─ its log is made ────┴─ a log or group that is missing now is lost:
//                              by the first start     an empty voter never comes back under an old name
//
// Whoever calls these holds the directory's lock. All of it blocks: it runs before a shard serves.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "base/checksum.h"
#include "base/ids.h"
#include "base/result.h"
#include "port/file.h"

namespace bop::node {

struct Identity {
  std::array<uint8_t, 16> cluster{};
  NodeId node = 0;
  uint64_t incarnation = 0;  // random, of this formatting: peers remember it and refuse another
  Hash128 bootstrap;         // digest of the system group it was formatted for
  Hash128 formation;         // digest of all groups it was formatted for
  bool served = false;       // its shards' logs were made
  friend bool operator==(const Identity&, const Identity&) = default;
};

// The group whose configuration every start compares with the one that the directory was formatted for.
inline constexpr GroupId system_group = 1;

// What the digests cover. A group's shard is not among it: each node places its groups itself.
struct FormationGroup {
  GroupId id = 0;
  std::string name;
  std::string machine;
  std::vector<NodeId> voters;  // sorted
};
// Of the system group alone.
Hash128 bootstrap_digest(const std::vector<FormationGroup>& groups);
// Of all groups, in order of ids.
Hash128 formation_digest(const std::vector<FormationGroup>& groups);

// Writes the format file of a fresh directory, durably. ALREADY_FORMATTED when there is one, whatever
// it holds.
Status format_directory(port::FileSystem& files, const Identity& identity);

// NOT_FORMATTED, NEWER_FORMAT, OLDER_FORMAT, DAMAGED, IO.
Result<Identity> read_identity(port::FileSystem& files);

// The directory is the one that the configuration means: FOREIGN_DIRECTORY when cluster or node differ,
// BAD_CONFIG when the system group does or, before the directory has served, any group.
Status check_identity(port::FileSystem& files, const Identity& found, const Identity& expected);

// The logs of all shards are made and durable.
Status mark_served(port::FileSystem& files, Identity& identity);

// Different for every directory and shard: a block of another log never passes for one of this.
uint64_t log_id(const Identity& identity, uint32_t shard);

}  // namespace bop::node

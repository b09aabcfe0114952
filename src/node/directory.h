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
  Hash128 bootstrap;         // of the groups, voters and shards it was formatted for
  bool served = false;       // its shards' logs were made
  friend bool operator==(const Identity&, const Identity&) = default;
};

// What the digest is of, group by group in order of ids.
struct BootstrapGroup {
  GroupId id = 0;
  std::string name;
  std::string machine;
  uint32_t shard = 0;
  std::vector<NodeId> voters;  // sorted
};
Hash128 bootstrap_digest(const std::vector<BootstrapGroup>& groups);

// Writes the format file of a fresh directory, durably. ALREADY_FORMATTED when there is one, whatever
// it holds.
Status format_directory(port::FileSystem& files, const Identity& identity);

// NOT_FORMATTED, NEWER_FORMAT, DAMAGED, IO.
Result<Identity> read_identity(port::FileSystem& files);

// The directory is the one that the configuration means: FOREIGN_DIRECTORY when cluster or node differ,
// BAD_CONFIG when the groups do.
Status check_identity(port::FileSystem& files, const Identity& found, const Identity& expected);

// The logs of all shards are made and durable.
Status mark_served(port::FileSystem& files, Identity& identity);

// Different for every directory and shard: a block of another log never passes for one of this.
uint64_t log_id(const Identity& identity, uint32_t shard);

}  // namespace bop::node

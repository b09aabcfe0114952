// A checkpoint: a group's own facts as of one of its entries, kept in its shard's log, so that the log can be compacted up
// to it. After the first start they come from here and from the log, never from the node's configuration.
// Byte table: docs/formats/log.md. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "raft/types.h"

namespace bop::group {

// Of a group's machine. A later one is what replaces it, as a restored snapshot does.
inline constexpr uint64_t first_instance = 1;

struct Checkpoint {
  raft::EntryId at;  // not among the bytes: the log's record has it
  raft::Configuration configuration;
  Index configuration_index = 0;       // of its entry; 0: the group was formed with it
  uint64_t instance = first_instance;  // of the machine: its directory
  uint32_t machine_version = 0;        // that the group agreed on
  std::string machine;                 // kind, 1 to 255 bytes
  friend bool operator==(const Checkpoint&, const Checkpoint&) = default;
};

std::vector<uint8_t> encode(const Checkpoint& checkpoint);
// PROTOCOL for malformed bytes, NEWER_FORMAT for what another version wrote, otherwise what decode_configuration
// returns.
Result<Checkpoint> decode_checkpoint(raft::EntryId at, Bytes bytes);

}  // namespace bop::group

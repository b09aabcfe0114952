// The configuration as an entry's payload. Byte table: docs/formats/log.md. It has places for what later
// versions bring (incarnations, priorities, witnesses, quorum sizes, leases); a value there is refused by name.
#pragma once

#include "base/bytes.h"
#include "base/result.h"
#include "mem/buffer.h"
#include "raft/types.h"

namespace bop::raft {

inline constexpr size_t max_voters = 31;
inline constexpr size_t max_learners = 255;

bool includes(const std::vector<NodeId>& sorted, NodeId id);
// Voters and learners of both halves, sorted.
std::vector<NodeId> members_of(const Configuration& configuration);

// BAD_CONFIG, with a message that names the error.
Status check_configuration(const Configuration& configuration);
// `configuration` must pass check_configuration.
mem::Buffer encode_configuration(const Configuration& configuration);
// PROTOCOL for malformed bytes, OLDER_FORMAT or NEWER_FORMAT for what another version wrote, otherwise
// what check_configuration returns.
Result<Configuration> decode_configuration(Bytes bytes);

}  // namespace bop::raft

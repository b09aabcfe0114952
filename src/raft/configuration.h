// The configuration as an entry's payload, little-endian:
//
//   offset  size  field
//   0       1     version: 1
//   1       1     flags: 0
//   2       2     voters: count, 1 to max_voters
//   4       2     learners: count, 0 to max_learners
//   6       8n    voters, then learners: node ids, each list strictly ascending, none 0, none twice
#pragma once

#include "base/bytes.h"
#include "base/result.h"
#include "mem/buffer.h"
#include "raft/types.h"

namespace bop::raft {

inline constexpr size_t max_voters = 31;
inline constexpr size_t max_learners = 255;

// BAD_CONFIG, with a message that names the error.
Status check_configuration(const Configuration& configuration);
// `configuration` must pass check_configuration.
mem::Buffer encode_configuration(const Configuration& configuration);
// PROTOCOL for malformed bytes, NEWER_FORMAT for an unknown version, otherwise what
// check_configuration returns.
Result<Configuration> decode_configuration(Bytes bytes);

}  // namespace bop::raft

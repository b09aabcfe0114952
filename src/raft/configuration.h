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

// BAD_CONFIG with words that say what is wrong.
Status check_configuration(const Configuration& configuration);
// Of a configuration that check_configuration accepts.
mem::Buffer encode_configuration(const Configuration& configuration);
// PROTOCOL for bytes of another shape, NEWER_FORMAT for another version, else as
// check_configuration.
Result<Configuration> decode_configuration(Bytes bytes);

}  // namespace bop::raft

// A run of consecutive log entries as it travels between nodes. Byte table: docs/formats/peer.md.
#pragma once

#include <span>
#include <vector>

#include "base/result.h"
#include "mem/buffer.h"
#include "proto/part_writer.h"
#include "raft/types.h"

namespace bop::proto {

inline constexpr size_t entry_head_bytes = 44;
inline constexpr size_t entries_head_bytes = 16;
inline constexpr uint32_t max_entries = 65536;  // of one run

// A run, encoded: parts to be put one after the other.
struct EncodedEntries {
  std::vector<mem::Buffer> parts;
  size_t size = 0;
};

// What encode_entries would give, in bytes.
size_t encoded_size(std::span<const raft::Entry> entries);

void encode_entries(std::span<const raft::Entry> entries, PartWriter& into);

// Decodes one run, which must be all of `bytes`; payloads are slices of `frame`, within which `bytes`
// lies. Entries are appended to `entries`. PROTOCOL or VERSION_MISMATCH.
Status decode_entries(const mem::Buffer& frame, Bytes bytes, std::vector<raft::Entry>& entries);

// Encodes a run once when several peers get it, which is the rule: a leader sends each follower the
// same appends. It knows the run by its group, first index and last (term, index): by the log
// matching property (paper, §5.3) that names its content, so nothing ever has to be forgotten.
class EntriesCache {
 public:
  // Valid until the next call.
  const EncodedEntries& encode(GroupId group, std::span<const raft::Entry> entries);
  // Lets go of the buffers; at the end of a turn.
  void clear();

 private:
  struct Key {
    GroupId group = 0;
    Index first = 0, last = 0;
    Term last_term = 0;
    friend bool operator==(const Key&, const Key&) = default;
  };
  PartWriter writer_;
  EncodedEntries encoded_;
  Key key_;
};

}  // namespace bop::proto

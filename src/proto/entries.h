// A run of consecutive log entries, encoded for a peer. Byte table: docs/formats/peer.md.
#pragma once

#include <span>
#include <vector>

#include "base/result.h"
#include "mem/buffer.h"
#include "proto/part_writer.h"
#include "raft/types.h"

namespace bop::proto {

inline constexpr size_t entry_head_bytes = 48;
inline constexpr size_t entries_head_bytes = 16;
inline constexpr uint32_t max_entries = 65536;  // of one run

// An encoded run: the concatenation of `parts`.
struct EncodedEntries {
  std::vector<mem::Buffer> parts;
  size_t size = 0;  // in bytes, of all parts
};

// How many bytes encode_entries would write.
size_t encoded_size(std::span<const raft::Entry> entries);

void encode_entries(std::span<const raft::Entry> entries, PartWriter& into);

// Decodes one run, which must fill all of `bytes`, and appends its entries to `entries`. `bytes` lies
// within `frame`; payloads are slices of `frame`. PROTOCOL or VERSION_MISMATCH.
Status decode_entries(const mem::Buffer& frame, Bytes bytes, std::vector<raft::Entry>& entries);

// Encodes a run once for several peers: usually a leader sends each follower the same entries. The key is
// the group, the first index and the last (index, term), which determine the content by the log matching
// property (Raft paper, §5.3), so an encoded run never becomes stale.
class EntriesCache {
 public:
  // Valid until the next call.
  const EncodedEntries& encode(GroupId group, std::span<const raft::Entry> entries);
  // Releases the buffers. Call it at the end of a turn.
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

// Records: a frame's stream is a sequence of records. Byte tables: docs/formats/log.md.
#pragma once

#include <cstdint>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "log/position.h"
#include "mem/buffer.h"
#include "raft/types.h"

namespace bop::log {

inline constexpr size_t record_header_bytes = 80;
inline constexpr size_t entry_header_bytes = 56;
inline constexpr size_t summary_item_bytes = 80;

// Kind 5 (answers) is reserved for what later versions add.
enum class RecordKind : uint8_t {
  entries = 1,     // hard state, and entries that replace those from their first index on
  rewritten = 2,   // a copy of a group's hard state and entries; it truncates nothing
  summary = 3,     // of all groups
  checkpoint = 4,  // a part of the group's checkpoint as of the entry before `first`
};
// Records of a higher kind are a newer version's.
inline constexpr RecordKind last_known_kind = RecordKind::checkpoint;

// Flags of a record.
// Entries: the group's log restarts with this record. A checkpoint, of one part: it is empty, and begins after the
// checkpoint's entry.
inline constexpr uint8_t record_restarts = 1;
inline constexpr uint8_t record_complete = 2;  // summary: contains every group of the log

struct RecordHeader {
  uint32_t bytes = record_header_bytes;  // of the whole record
  RecordKind kind = RecordKind::entries;
  uint8_t flags = 0;
  GroupId group = 0;  // summary: 0
  raft::HardState hard;
  Term leader_term = 0;
  Position previous = 0;     // of the group's record before this one; 0: none
  Index first = 0;           // of the first entry; without entries: the group's last index + 1
  Term previous_term = 0;    // of the entry at first - 1
  int64_t last_time_ns = 0;  // the leader's time in the group's last entry
  uint32_t count = 0;        // of entries; summary: of items; checkpoint: see Part
  uint32_t generation = 0;   // of the group
};

void encode(const RecordHeader& header, uint8_t* into);  // writes record_header_bytes

// Which part of its checkpoint a record has: RecordHeader::count. The parts follow each other in the chain of the
// group's records.
struct Part {
  uint32_t number = 0;  // from 0
  uint32_t of = 1;      // at most max_parts
};
inline constexpr uint32_t max_parts = UINT16_MAX;
inline uint32_t encode(const Part& part) { return part.number | part.of << 16; }
inline Part part_of(const RecordHeader& header) {
  return {header.count & UINT16_MAX, header.count >> 16};
}

// Writes the header of an entry, entry_header_bytes; its payload follows.
inline void encode(const raft::Entry& entry, uint8_t* into) {
  store_le<uint32_t>(into, static_cast<uint32_t>(entry.payload.size()));
  store_le<uint16_t>(into + 4, 0);  // length of the extension
  into[6] = static_cast<uint8_t>(entry.kind);
  into[7] = entry.flags;
  store_le<uint64_t>(into + 8, entry.term);
  store_le<uint64_t>(into + 16, entry.index);
  store_le<int64_t>(into + 24, entry.time_ns);
  store_le<uint64_t>(into + 32, entry.session);
  store_le<uint64_t>(into + 40, entry.sequence);
  store_le<uint32_t>(into + 48, entry.machine_version);
  store_le<uint32_t>(into + 52, entry.behind);
}

// A record of a frame's stream, decoded and checked.
struct RecordView {
  uint32_t offset = 0;  // in the stream
  RecordHeader header;
  Bytes body;  // what follows the header
  // What of it only a later version understands; nullptr: nothing. Its group is left as it is.
  const char* newer = nullptr;
  bool configures = false;  // one of its entries is a configuration
};

// An entry within a record's bytes.
struct EntryView {
  raft::Entry entry;  // without its payload
  Bytes extension;    // a later version's
  Bytes payload;

  const char* newer() const {
    return extension.empty() ? raft::newer_feature(entry) : "an extension";
  }
};

// Walks the entries of a record's body.
class EntryReader {
 public:
  explicit EntryReader(Bytes body) : reader_(body) {}
  // False: the end, or, if ok() is false, malformed bytes.
  bool next(EntryView& view);
  bool ok() const { return ok_; }

 private:
  Reader reader_;
  bool ok_ = true;
};

// One group in a summary.
struct SummaryItem {
  GroupId group = 0;
  Position last_record = 0;
  raft::HardState hard;
  Index first = 0;  // of the first entry kept; last.index + 1: none is kept
  raft::EntryId last;
  bool suspect = false;
  Position checkpoint = 0;  // of its newest checkpoint, 0: none
  uint32_t generation = 0;
  uint32_t flags = 0;  // none defined
};

void encode(const SummaryItem& item, uint8_t* into);  // writes summary_item_bytes
std::vector<SummaryItem> decode_summary(const RecordView& record);

// Decodes a record's header but does not check its body. False: malformed.
bool decode_header(Bytes stream, RecordHeader& header);

// Decodes the records of a frame's whole stream, and checks all lengths and the order of entries. False:
// malformed in this and every later version, although the checksums match.
bool decode_records(Bytes stream, std::vector<RecordView>& records);

}  // namespace bop::log

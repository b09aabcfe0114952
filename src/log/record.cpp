#include "log/record.h"

namespace bop::log {
namespace {

// No log gets there; sums of indexes and counts do not overflow.
constexpr Index max_index = UINT64_MAX / 2;

// Whether the body has consecutive entries from header.first on, whose terms do not decrease and are at
// most the group's term.
bool are_entries(RecordView& record) {
  const RecordHeader& header = record.header;
  EntryReader reader(record.body);
  EntryView view;
  Term term = header.previous_term;
  uint32_t count = 0;
  while (reader.next(view)) {
    if (view.entry.index != header.first + count || view.entry.term < term) return false;
    if (const char* newer = view.newer()) record.newer = newer;
    record.configures |= view.entry.kind == raft::EntryKind::configuration;
    term = view.entry.term;
    ++count;
  }
  return reader.ok() && count == header.count && term <= header.hard.term;
}

// Its bytes are the group's; their checksum is the frame's.
bool is_checkpoint(const RecordHeader& header) {
  const Part part = part_of(header);
  if ((header.flags & record_restarts) != 0 && part.of != 1) return false;
  return part.number < part.of && header.previous_term <= header.hard.term;
}

bool is_summary(const RecordView& record) {
  return record.header.group == 0 &&
         record.body.size() == uint64_t{record.header.count} * summary_item_bytes;
}

bool is_sound(RecordView& record) {
  const RecordHeader& header = record.header;
  if (header.kind == RecordKind::summary) return is_summary(record);
  if (header.group == 0 || header.first == 0 || header.first > max_index) return false;
  if (header.kind > last_known_kind) {
    record.newer = "an unknown kind";
    return true;
  }
  const bool checkpoint = header.kind == RecordKind::checkpoint;
  if ((header.flags & ~record_restarts) != 0) record.newer = "unknown flags";
  if (header.generation != 0) record.newer = "a generation";
  if (checkpoint) return is_checkpoint(header);
  return static_cast<uint8_t>(header.kind) != 0 && are_entries(record);
}

}  // namespace

void encode(const RecordHeader& header, uint8_t* into) {
  store_le<uint32_t>(into, header.bytes);
  into[4] = static_cast<uint8_t>(header.kind);
  into[5] = header.flags;
  store_le<uint16_t>(into + 6, record_header_bytes);
  store_le<uint64_t>(into + 8, header.group);
  store_le<uint64_t>(into + 16, header.hard.term);
  store_le<uint64_t>(into + 24, header.hard.vote);
  store_le<uint64_t>(into + 32, header.leader_term);
  store_le<uint64_t>(into + 40, header.previous);
  store_le<uint64_t>(into + 48, header.first);
  store_le<uint64_t>(into + 56, header.previous_term);
  store_le<int64_t>(into + 64, header.last_time_ns);
  store_le<uint32_t>(into + 72, header.count);
  store_le<uint32_t>(into + 76, header.generation);
}

bool decode_header(Bytes stream, RecordHeader& header) {
  Reader reader(stream);
  header.bytes = reader.u32();
  header.kind = static_cast<RecordKind>(reader.u8());
  header.flags = reader.u8();
  const uint16_t header_bytes = reader.u16();
  header.group = reader.u64();
  header.hard.term = reader.u64();
  header.hard.vote = reader.u64();
  header.leader_term = reader.u64();
  header.previous = reader.u64();
  header.first = reader.u64();
  header.previous_term = reader.u64();
  header.last_time_ns = reader.i64();
  header.count = reader.u32();
  header.generation = reader.u32();
  return reader.ok() && header_bytes == record_header_bytes && header.bytes >= header_bytes &&
         header.bytes <= stream.size();
}

bool EntryReader::next(EntryView& view) {
  if (reader_.remaining() == 0) return false;
  const uint32_t payload = reader_.u32();
  const uint16_t extension = reader_.u16();
  raft::Entry& entry = view.entry;
  entry.kind = static_cast<raft::EntryKind>(reader_.u8());
  entry.flags = reader_.u8();
  entry.term = reader_.u64();
  entry.index = reader_.u64();
  entry.time_ns = reader_.i64();
  entry.session = reader_.u64();
  entry.sequence = reader_.u64();
  entry.machine_version = reader_.u32();
  entry.behind = reader_.u32();
  view.extension = reader_.bytes(extension);
  view.payload = reader_.bytes(payload);
  ok_ = reader_.ok();
  return ok_;
}

void encode(const SummaryItem& item, uint8_t* into) {
  store_le<uint64_t>(into, item.group);
  store_le<uint64_t>(into + 8, item.last_record);
  store_le<uint64_t>(into + 16, item.hard.term);
  store_le<uint64_t>(into + 24, item.hard.vote);
  store_le<uint64_t>(into + 32, item.first);
  store_le<uint64_t>(into + 40, item.last.index);
  store_le<uint64_t>(into + 48, item.last.term);
  store_le<uint32_t>(into + 56, item.suspect ? 1 : 0);
  store_le<uint32_t>(into + 60, 0);
  store_le<uint64_t>(into + 64, item.checkpoint);
  store_le<uint32_t>(into + 72, item.generation);
  store_le<uint32_t>(into + 76, item.flags);
}

std::vector<SummaryItem> decode_summary(const RecordView& record) {
  std::vector<SummaryItem> items(record.header.count);
  Reader reader(record.body);
  for (SummaryItem& item : items) {
    item.group = reader.u64();
    item.last_record = reader.u64();
    item.hard.term = reader.u64();
    item.hard.vote = reader.u64();
    item.first = reader.u64();
    item.last.index = reader.u64();
    item.last.term = reader.u64();
    item.suspect = reader.u32() != 0;
    reader.u32();
    item.checkpoint = reader.u64();
    item.generation = reader.u32();
    item.flags = reader.u32();
  }
  return items;
}

bool decode_records(Bytes stream, std::vector<RecordView>& records) {
  records.clear();
  uint32_t offset = 0;
  while (offset < stream.size()) {
    RecordView record;
    record.offset = offset;
    if (!decode_header(stream.subspan(offset), record.header)) return false;
    record.body =
        stream.subspan(offset + record_header_bytes, record.header.bytes - record_header_bytes);
    if (!is_sound(record)) return false;
    records.push_back(record);
    offset += record.header.bytes;
  }
  return true;
}

}  // namespace bop::log

#include "proto/entries.h"

#include <fmt/format.h>

namespace bop::proto {

namespace {

void encode_head(const raft::Entry& entry, uint8_t* to) {
  store_le<uint64_t>(to, entry.term);
  store_le<int64_t>(to + 8, entry.time_ns);
  store_le<uint64_t>(to + 16, entry.session);
  store_le<uint64_t>(to + 24, entry.sequence);
  store_le<uint32_t>(to + 32, entry.machine_version);
  to[36] = static_cast<uint8_t>(entry.kind);
  to[37] = entry.flags;
  store_le<uint16_t>(to + 38, 0);  // extension
  store_le<uint32_t>(to + 40, entry.behind);
  store_le<uint32_t>(to + 44, static_cast<uint32_t>(entry.payload.size()));
}

Status decode_entry(const mem::Buffer& frame, Reader& reader, raft::Entry& entry) {
  entry.term = reader.u64();
  entry.time_ns = reader.i64();
  entry.session = reader.u64();
  entry.sequence = reader.u64();
  entry.machine_version = reader.u32();
  entry.kind = static_cast<raft::EntryKind>(reader.u8());
  entry.flags = reader.u8();
  const uint16_t extension_bytes = reader.u16();
  entry.behind = reader.u32();
  const uint32_t payload_bytes = reader.u32();
  const Bytes payload = reader.bytes(payload_bytes);
  if (!reader.ok()) return fail(BOP_E_PROTOCOL, "an entry reaches past its run");
  // Storing an entry without what is not understood would make the nodes' logs differ.
  const char* newer = extension_bytes != 0 ? "an extension" : raft::newer_feature(entry);
  if (newer != nullptr)
    return fail(BOP_E_VERSION_MISMATCH, fmt::format("an entry with {}, of a later version", newer));
  entry.payload = frame.slice(payload);
  return {};
}

}  // namespace

size_t encoded_size(std::span<const raft::Entry> entries) {
  size_t size = entries_head_bytes;
  for (const raft::Entry& entry : entries) size += entry_head_bytes + entry.payload.size();
  return size;
}

void encode_entries(std::span<const raft::Entry> entries, PartWriter& into) {
  BOP_ASSERT(!entries.empty());
  BOP_ASSERT_LE(entries.size(), max_entries);
  uint8_t* head = into.reserve(entries_head_bytes);
  store_le<uint64_t>(head, entries.front().index);
  store_le<uint32_t>(head + 8, static_cast<uint32_t>(entries.size()));
  store_le<uint32_t>(head + 12, 0);
  Index index = entries.front().index;
  for (const raft::Entry& entry : entries) {
    BOP_ASSERT_EQ(entry.index, index);
    ++index;
    encode_head(entry, into.reserve(entry_head_bytes));
    into.buffer(entry.payload);
  }
}

Status decode_entries(const mem::Buffer& frame, Bytes bytes, std::vector<raft::Entry>& entries) {
  Reader reader(bytes);
  const Index first = reader.u64();
  const uint32_t count = reader.u32();
  reader.u32();
  if (!reader.ok() || count == 0 || count > max_entries ||
      count > reader.remaining() / entry_head_bytes) {
    return fail(BOP_E_PROTOCOL, "a run of entries has an impossible count");
  }
  if (first == 0 || first + count < first) {
    return fail(BOP_E_PROTOCOL, "a run of entries has an impossible first index");
  }
  entries.reserve(entries.size() + count);
  for (uint32_t i = 0; i < count; ++i) {
    raft::Entry& entry = entries.emplace_back();
    entry.index = first + i;
    BOP_TRY(decode_entry(frame, reader, entry));
  }
  if (!reader.complete()) return fail(BOP_E_PROTOCOL, "bytes follow a run of entries");
  return {};
}

const EncodedEntries& EntriesCache::encode(GroupId group, std::span<const raft::Entry> entries) {
  BOP_ASSERT(!entries.empty());
  const Key key{group, entries.front().index, entries.back().index, entries.back().term};
  if (key == key_ && !encoded_.parts.empty()) return encoded_;
  writer_.begin();
  encode_entries(entries, writer_);
  encoded_.size = writer_.size();
  const auto parts = writer_.finish();
  encoded_.parts.assign(parts.begin(), parts.end());
  key_ = key;
  return encoded_;
}

void EntriesCache::clear() {
  encoded_.parts.clear();
  encoded_.size = 0;
  writer_.begin();
  key_ = {};
}

}  // namespace bop::proto

#include "proto/kv.h"

#include <fmt/format.h>

#include <cstring>

#include "base/assert.h"

namespace bop::proto {

namespace {

constexpr size_t command_head_bytes = 4;
constexpr size_t question_head_bytes = 4;
constexpr size_t operation_head_bytes = 8;
constexpr size_t item_head_bytes = 13;

// Writes through a pointer whose room was reserved: sizes are known before.
class Cursor {
 public:
  explicit Cursor(uint8_t* at) : at_(at) {}
  template <class T>
  void put(T value) {
    store_le<T>(at_, value);
    at_ += sizeof value;
  }
  void bytes(Bytes bytes) {
    if (!bytes.empty()) std::memcpy(at_, bytes.data(), bytes.size());
    at_ += bytes.size();
  }
  size_t since(const uint8_t* start) const { return static_cast<size_t>(at_ - start); }

 private:
  uint8_t* at_;
};

size_t value_bytes(const KvOperation& operation) {
  return operation.op == BOP_KV_ADD ? sizeof operation.delta : operation.value.size();
}

size_t operation_bytes(const KvOperation& operation) {
  size_t size = operation_head_bytes + operation.key.size() + value_bytes(operation);
  if ((operation.flags & BOP_KV_IF_REVISION) != 0) size += 8;
  if ((operation.flags & BOP_KV_IF_VALUE) != 0) size += 4 + operation.expected.size();
  return size;
}

void put_operation(Cursor& cursor, const KvOperation& operation) {
  cursor.put(static_cast<uint8_t>(operation.op));
  cursor.put(operation.flags);
  cursor.put(static_cast<uint16_t>(operation.key.size()));
  cursor.put(static_cast<uint32_t>(value_bytes(operation)));
  if ((operation.flags & BOP_KV_IF_REVISION) != 0) cursor.put(operation.revision);
  if ((operation.flags & BOP_KV_IF_VALUE) != 0) {
    cursor.put(static_cast<uint32_t>(operation.expected.size()));
  }
  cursor.bytes(operation.key);
  if (operation.op == BOP_KV_ADD) {
    cursor.put(operation.delta);
  } else {
    cursor.bytes(operation.value);
  }
  if ((operation.flags & BOP_KV_IF_VALUE) != 0) cursor.bytes(operation.expected);
}

void put_question_head(Cursor& cursor, bop_kv_question kind, uint16_t flags) {
  cursor.put(static_cast<uint8_t>(BOP_KV_VERSION));
  cursor.put(static_cast<uint8_t>(kind));
  cursor.put(flags);
}

bool read_item(Reader& reader, KvItem& item) {
  item.present = reader.u8() != 0;
  item.revision = reader.u64();
  item.value = reader.bytes(reader.u32());
  return reader.ok();
}

}  // namespace

Status check_kv_key(Bytes key) {
  if (key.empty()) return fail(BOP_E_INVALID_ARGUMENT, "a key must not be empty");
  if (key.size() > BOP_KV_KEY_MAX) {
    return fail(BOP_E_TOO_LARGE,
                fmt::format("a key of {} bytes, the limit is {}", key.size(), BOP_KV_KEY_MAX));
  }
  return {};
}

Status check_kv_value(Bytes value) {
  if (value.size() > BOP_KV_VALUE_MAX) {
    return fail(BOP_E_TOO_LARGE, fmt::format("a value of {} bytes, the limit is {}", value.size(),
                                             BOP_KV_VALUE_MAX));
  }
  return {};
}

std::string kv_prefix_end(std::string_view prefix) {
  while (prefix.ends_with('\xff')) prefix.remove_suffix(1);
  std::string end(prefix);
  if (!end.empty()) end.back() = static_cast<char>(end.back() + 1);
  return end;
}

mem::Buffer encode_kv_command(mem::Arena& arena, std::span<const KvOperation> operations) {
  BOP_ASSERT(!operations.empty());
  BOP_ASSERT_LE(operations.size(), BOP_KV_OPERATIONS_MAX);
  size_t size = command_head_bytes;
  for (const KvOperation& operation : operations) size += operation_bytes(operation);
  uint8_t* start = arena.reserve(size);
  Cursor cursor(start);
  cursor.put(static_cast<uint8_t>(BOP_KV_VERSION));
  cursor.put(uint8_t{0});
  cursor.put(static_cast<uint16_t>(operations.size()));
  for (const KvOperation& operation : operations) put_operation(cursor, operation);
  BOP_ASSERT_EQ(cursor.since(start), size);
  return arena.commit(size);
}

mem::Buffer encode_kv_get(mem::Arena& arena, std::span<const Bytes> keys, uint16_t flags) {
  BOP_ASSERT(!keys.empty());
  BOP_ASSERT_LE(keys.size(), BOP_KV_OPERATIONS_MAX);
  size_t size = question_head_bytes + 2;
  for (const Bytes key : keys) size += 2 + key.size();
  uint8_t* start = arena.reserve(size);
  Cursor cursor(start);
  put_question_head(cursor, BOP_KV_GET, flags);
  cursor.put(static_cast<uint16_t>(keys.size()));
  for (const Bytes key : keys) {
    cursor.put(static_cast<uint16_t>(key.size()));
    cursor.bytes(key);
  }
  BOP_ASSERT_EQ(cursor.since(start), size);
  return arena.commit(size);
}

mem::Buffer encode_kv_range(mem::Arena& arena, const KvRange& range) {
  const size_t size = question_head_bytes + 8 + range.first.size() + range.end.size();
  uint8_t* start = arena.reserve(size);
  Cursor cursor(start);
  put_question_head(cursor, BOP_KV_RANGE, range.flags);
  cursor.put(range.limit);
  cursor.put(static_cast<uint16_t>(range.first.size()));
  cursor.put(static_cast<uint16_t>(range.end.size()));
  cursor.bytes(range.first);
  cursor.bytes(range.end);
  BOP_ASSERT_EQ(cursor.since(start), size);
  return arena.commit(size);
}

mem::Buffer encode_kv_count(mem::Arena& arena) {
  Cursor cursor(arena.reserve(question_head_bytes));
  put_question_head(cursor, BOP_KV_COUNT, 0);
  return arena.commit(question_head_bytes);
}

KvItems::KvItems(Bytes body) : reader_(body) {
  position_ = reader_.u64();
  count_ = reader_.u16();
  ok_ = reader_.ok() && count_ <= reader_.remaining() / item_head_bytes &&
        (count_ != 0 || reader_.remaining() == 0);
}

bool KvItems::next(KvItem& item) {
  if (!ok_ || read_ == count_) return false;
  ++read_;
  ok_ = read_item(reader_, item) && (read_ != count_ || reader_.remaining() == 0);
  return ok_;
}

KvRecords::KvRecords(Bytes body) : reader_(body) {
  applied_ = reader_.u64();
  more_ = reader_.u8() != 0;
  count_ = reader_.u32();
  ok_ = reader_.ok() && count_ <= reader_.remaining() / (2 + item_head_bytes) &&
        (count_ != 0 || reader_.remaining() == 0);
}

bool KvRecords::next(Bytes& key, KvItem& item) {
  if (!ok_ || read_ == count_) return false;
  ++read_;
  key = reader_.bytes(reader_.u16());
  ok_ = read_item(reader_, item) && (read_ != count_ || reader_.remaining() == 0);
  return ok_;
}

Result<uint64_t> decode_kv_count(Bytes body) {
  Reader reader(body);
  reader.u64();
  const uint64_t records = reader.u64();
  if (!reader.complete()) return fail(BOP_E_PROTOCOL, "an answer that is no count");
  return records;
}

}  // namespace bop::proto

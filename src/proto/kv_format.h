// The byte layout of kv's messages (include/bop/kv.h), defined once: the size of each part, and its fields
// in order. Used by the C codec (kv_codec.cpp), the C++ encoders (kv.h) and the machine, which writes its
// replies piece by piece. Nothing here checks limits: the callers do.
#pragma once

#include <cstring>

#include "base/bytes.h"
#include "bop/kv.h"

namespace bop::proto::kv_format {

constexpr size_t command_head_bytes = 1 + 1 + 2;        // version, zero, count
constexpr size_t query_head_bytes = 1 + 1 + 2;          // version, kind, flags
constexpr size_t operation_head_bytes = 1 + 1 + 2 + 4;  // op, flags, key size, value size
constexpr size_t delta_bytes = 8;                       // the value of an ADD
constexpr size_t items_head_bytes = 8 + 2;              // index, count
constexpr size_t records_head_bytes = 8 + 1 + 4;        // index, more, count
constexpr size_t count_bytes = 8 + 8;                   // index, records
constexpr size_t item_head_bytes = 1 + 8 + 4;           // present, revision, value size
constexpr size_t key_head_bytes = 2;                    // key size

inline bop_bytes as_c(Bytes bytes) { return {bytes.data(), bytes.size()}; }
inline Bytes bytes_of(bop_bytes bytes) { return {bytes.data, bytes.size}; }

// Writes into memory that the caller reserved, with the sizes below.
class Cursor {
 public:
  explicit Cursor(uint8_t* at) : at_(at) {}
  template <class T>
  void put(T value) {
    store_le<T>(at_, value);
    at_ += sizeof value;
  }
  void bytes(bop_bytes bytes) {
    if (bytes.size != 0) std::memcpy(at_, bytes.data, bytes.size);
    at_ += bytes.size;
  }
  size_t since(const uint8_t* start) const { return static_cast<size_t>(at_ - start); }

 private:
  uint8_t* at_;
};

// ---- commands ----

inline bool has(const bop_kv_operation& operation, bop_kv_flag flag) {
  return (operation.flags & flag) != 0;
}

inline size_t value_bytes(const bop_kv_operation& operation) {
  return operation.op == BOP_KV_ADD ? delta_bytes : operation.value.size;
}

inline size_t operation_bytes(const bop_kv_operation& operation) {
  size_t size = operation_head_bytes + operation.key.size + value_bytes(operation);
  if (has(operation, BOP_KV_IF_REVISION)) size += 8;
  if (has(operation, BOP_KV_IF_VALUE)) size += 4 + operation.expected.size;
  return size;
}

inline void put_operation(Cursor& cursor, const bop_kv_operation& operation) {
  cursor.put(operation.op);
  cursor.put(operation.flags);
  cursor.put(static_cast<uint16_t>(operation.key.size));
  cursor.put(static_cast<uint32_t>(value_bytes(operation)));
  if (has(operation, BOP_KV_IF_REVISION)) cursor.put(operation.revision);
  if (has(operation, BOP_KV_IF_VALUE)) cursor.put(static_cast<uint32_t>(operation.expected.size));
  cursor.bytes(operation.key);
  if (operation.op == BOP_KV_ADD) {
    cursor.put(operation.delta);
  } else {
    cursor.bytes(operation.value);
  }
  if (has(operation, BOP_KV_IF_VALUE)) cursor.bytes(operation.expected);
}

// `operations` is a range of bop_kv_operation.
template <class Operations>
size_t command_bytes(const Operations& operations) {
  size_t size = command_head_bytes;
  for (const bop_kv_operation& operation : operations) size += operation_bytes(operation);
  return size;
}

template <class Operations>
void put_command(Cursor& cursor, const Operations& operations) {
  cursor.put(static_cast<uint8_t>(BOP_KV_VERSION));
  cursor.put(uint8_t{0});
  cursor.put(static_cast<uint16_t>(operations.size()));
  for (const bop_kv_operation& operation : operations) put_operation(cursor, operation);
}

// ---- queries ----

inline void put_query_head(Cursor& cursor, uint8_t kind, uint16_t flags) {
  cursor.put(static_cast<uint8_t>(BOP_KV_VERSION));
  cursor.put(kind);
  cursor.put(flags);
}

// `keys` is a range of bop_bytes.
template <class Keys>
size_t get_bytes(const Keys& keys) {
  size_t size = query_head_bytes + 2;
  for (const bop_bytes& key : keys) size += key_head_bytes + key.size;
  return size;
}

template <class Keys>
void put_get(Cursor& cursor, uint16_t flags, const Keys& keys) {
  put_query_head(cursor, BOP_KV_GET, flags);
  cursor.put(static_cast<uint16_t>(keys.size()));
  for (const bop_bytes& key : keys) {
    cursor.put(static_cast<uint16_t>(key.size));
    cursor.bytes(key);
  }
}

inline size_t range_bytes(const bop_kv_query& range) {
  return query_head_bytes + 4 + 2 + 2 + range.first.size + range.end.size;
}

inline void put_range(Cursor& cursor, const bop_kv_query& range) {
  put_query_head(cursor, BOP_KV_RANGE, range.flags);
  cursor.put(range.limit);
  cursor.put(static_cast<uint16_t>(range.first.size));
  cursor.put(static_cast<uint16_t>(range.end.size));
  cursor.bytes(range.first);
  cursor.bytes(range.end);
}

// ---- replies ----

inline void put_items_head(Cursor& cursor, uint64_t index, size_t count) {
  cursor.put(index);
  cursor.put(static_cast<uint16_t>(count));
}

inline void put_records_head(Cursor& cursor, uint64_t index, bool more, size_t count) {
  cursor.put(index);
  cursor.put(static_cast<uint8_t>(more ? 1 : 0));
  cursor.put(static_cast<uint32_t>(count));
}

inline void put_count(Cursor& cursor, uint64_t index, uint64_t records) {
  cursor.put(index);
  cursor.put(records);
}

// `value_size` bytes follow it.
inline void put_item_head(Cursor& cursor, bool present, uint64_t revision, size_t value_size) {
  cursor.put(static_cast<uint8_t>(present ? 1 : 0));
  cursor.put(present ? revision : 0);
  cursor.put(present ? static_cast<uint32_t>(value_size) : 0);
}

// The key's bytes follow it, then its item.
inline void put_key_head(Cursor& cursor, size_t key_size) {
  cursor.put(static_cast<uint16_t>(key_size));
}

}  // namespace bop::proto::kv_format

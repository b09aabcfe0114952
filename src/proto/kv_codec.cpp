// The C encoders and decoders of include/bop/kv.h.
#include <span>

#include "base/assert.h"
#include "proto/kv_format.h"

namespace bop::proto::kv_format {
namespace {

constexpr uint8_t all_flags = BOP_KV_IF_ABSENT | BOP_KV_IF_PRESENT | BOP_KV_IF_REVISION |
                              BOP_KV_IF_VALUE | BOP_KV_RETURN_PREVIOUS | BOP_KV_WANT_EXISTED;
constexpr uint16_t get_flags = BOP_KV_KEYS_ONLY;
constexpr uint16_t range_flags = BOP_KV_KEYS_ONLY | BOP_KV_PREFIX | BOP_KV_AFTER;

// `malformed` is the error for a malformed message: INVALID_ARGUMENT in an encoder, PROTOCOL in a decoder.
int32_t check_key(size_t size, int32_t malformed) {
  if (size == 0) return malformed;
  return size > BOP_KV_KEY_MAX ? BOP_E_TOO_LARGE : BOP_OK;
}

// `size` is that of the encoded value.
int32_t check_value(uint8_t op, size_t size, int32_t malformed) {
  switch (op) {
    case BOP_KV_DELETE: return size == 0 ? BOP_OK : malformed;
    case BOP_KV_ADD: return size == delta_bytes ? BOP_OK : malformed;
    default: return size > BOP_KV_VALUE_MAX ? BOP_E_TOO_LARGE : BOP_OK;
  }
}

int32_t check_operation_head(uint8_t op, uint8_t flags, int32_t malformed) {
  const bool known = op >= BOP_KV_PUT && op <= BOP_KV_APPEND && (flags & ~all_flags) == 0;
  return known ? BOP_OK : malformed;
}

int32_t check_count(size_t count, int32_t malformed) {
  if (count == 0) return malformed;
  return count > BOP_KV_OPERATIONS_MAX ? BOP_E_TOO_LARGE : BOP_OK;
}

int32_t check_range(const bop_kv_query& range, int32_t malformed) {
  if (range.limit == 0 || (range.flags & ~range_flags) != 0) return malformed;
  if (range.limit > BOP_KV_RANGE_MAX || range.first.size > BOP_KV_KEY_MAX ||
      range.end.size > BOP_KV_KEY_MAX) {
    return BOP_E_TOO_LARGE;
  }
  return (range.flags & BOP_KV_PREFIX) != 0 && range.end.size != 0 ? malformed : BOP_OK;
}

// ---- encoding ----

// Checks an operation that a caller passed to an encoder.
int32_t check_operation(const bop_kv_operation& operation) {
  constexpr int32_t bad = BOP_E_INVALID_ARGUMENT;
  if (const auto status = check_operation_head(operation.op, operation.flags, bad)) return status;
  if (const auto status = check_key(operation.key.size, bad)) return status;
  if (operation.op == BOP_KV_ADD && operation.value.size != 0) return bad;
  if (const auto status = check_value(operation.op, value_bytes(operation), bad)) return status;
  if (!has(operation, BOP_KV_IF_VALUE) && operation.expected.size != 0) return bad;
  return operation.expected.size > BOP_KV_VALUE_MAX ? BOP_E_TOO_LARGE : BOP_OK;
}

// `put` writes `message` bytes.
template <class Put>
int32_t encode(size_t message, uint8_t* out, size_t capacity, size_t* size, const Put& put) {
  *size = message;
  if (out == nullptr) return BOP_OK;
  if (message > capacity) return BOP_E_TOO_LARGE;
  Cursor cursor(out);
  put(cursor);
  BOP_ASSERT_EQ(cursor.since(out), message);
  return BOP_OK;
}

int32_t check_item(const bop_kv_item& item) {
  if (item.present > 1) return BOP_E_INVALID_ARGUMENT;
  if (item.present == 0 && (item.revision != 0 || item.value.size != 0))
    return BOP_E_INVALID_ARGUMENT;
  return item.value.size > UINT32_MAX ? BOP_E_TOO_LARGE : BOP_OK;
}

void put_item(Cursor& cursor, const bop_kv_item& item) {
  put_item_head(cursor, item.present != 0, item.revision, item.value.size);
  cursor.bytes(item.value);
}

// ---- decoding ----

Reader reader_of(bop_bytes bytes) { return Reader(bytes_of(bytes)); }

int32_t end_reading(bop_kv_reader& reader, int32_t failed) {
  reader = {{}, 0, failed};
  return failed;
}

// Begins a sequence whose elements have at least `least` bytes each: a count that claims more elements
// than could follow is refused before the first is read.
int32_t begin_reading(bop_kv_reader& reader, Reader& rest, size_t count, size_t least) {
  if (!rest.ok() || count > rest.remaining() / least || (count == 0 && rest.remaining() != 0))
    return end_reading(reader, BOP_E_PROTOCOL);
  reader = {as_c(rest.rest()), static_cast<uint32_t>(count), BOP_OK};
  return BOP_OK;
}

// Reads one element with `read`, which returns BOP_OK or an error.
template <class Read>
int32_t next(bop_kv_reader& reader, const Read& read) {
  if (reader.left == 0) return reader.failed;
  Reader rest = reader_of(reader.rest);
  int32_t status = read(rest);
  const bool last = reader.left == 1;
  if (status == BOP_OK && (!rest.ok() || (last && !rest.complete()))) status = BOP_E_PROTOCOL;
  if (status != BOP_OK) return end_reading(reader, status);
  --reader.left;
  reader.rest = as_c(rest.rest());
  return 1;
}

int32_t read_operation(Reader& in, bop_kv_operation& operation) {
  operation = {};
  operation.op = in.u8();
  operation.flags = in.u8();
  const uint16_t key_size = in.u16();
  const uint32_t value_size = in.u32();
  if (!in.ok()) return BOP_E_PROTOCOL;
  constexpr int32_t bad = BOP_E_PROTOCOL;
  if (const auto status = check_operation_head(operation.op, operation.flags, bad)) return status;
  if (const auto status = check_key(key_size, bad)) return status;
  if (const auto status = check_value(operation.op, value_size, bad)) return status;
  uint32_t expected_size = 0;
  if (has(operation, BOP_KV_IF_REVISION)) operation.revision = in.u64();
  if (has(operation, BOP_KV_IF_VALUE)) expected_size = in.u32();
  if (expected_size > BOP_KV_VALUE_MAX) return BOP_E_TOO_LARGE;
  operation.key = as_c(in.bytes(key_size));
  if (operation.op == BOP_KV_ADD) {
    operation.delta = in.i64();
  } else {
    operation.value = as_c(in.bytes(value_size));
  }
  operation.expected = as_c(in.bytes(expected_size));
  return BOP_OK;
}

int32_t read_range(Reader& in, bop_kv_query& range) {
  range.limit = in.u32();
  const uint16_t first_size = in.u16();
  const uint16_t end_size = in.u16();
  if (!in.ok()) return BOP_E_PROTOCOL;
  range.first.size = first_size;
  range.end.size = end_size;
  if (const auto status = check_range(range, BOP_E_PROTOCOL)) return status;
  range.first = as_c(in.bytes(first_size));
  range.end = as_c(in.bytes(end_size));
  return in.complete() ? BOP_OK : BOP_E_PROTOCOL;
}

int32_t read_key(Reader& in, bop_bytes& key) {
  const uint16_t size = in.u16();
  if (!in.ok()) return BOP_E_PROTOCOL;
  if (const auto status = check_key(size, BOP_E_PROTOCOL)) return status;
  key = as_c(in.bytes(size));
  return BOP_OK;
}

int32_t open_get(Reader& in, bop_kv_query& query, bop_kv_reader& keys) {
  query.key_count = in.u16();
  if (!in.ok() || (query.flags & ~get_flags) != 0) return BOP_E_PROTOCOL;
  if (const auto status = check_count(query.key_count, BOP_E_PROTOCOL)) return status;
  return begin_reading(keys, in, query.key_count, key_head_bytes);
}

int32_t open_query(Reader& in, bop_kv_query& query, bop_kv_reader& keys) {
  const uint8_t version = in.u8();
  query.kind = in.u8();
  query.flags = in.u16();
  if (!in.ok() || version != BOP_KV_VERSION) return BOP_E_PROTOCOL;
  switch (query.kind) {
    case BOP_KV_GET: return open_get(in, query, keys);
    case BOP_KV_RANGE: return read_range(in, query);
    case BOP_KV_COUNT: return query.flags == 0 && in.complete() ? BOP_OK : BOP_E_PROTOCOL;
    default: return BOP_E_PROTOCOL;
  }
}

int32_t read_item(Reader& in, bop_kv_item& item) {
  item = {};
  item.present = in.u8();
  item.revision = in.u64();
  item.value = as_c(in.bytes(in.u32()));
  return in.ok() && check_item(item) == BOP_OK ? BOP_OK : BOP_E_PROTOCOL;
}

int32_t read_record(Reader& in, bop_kv_record& record) {
  if (const auto status = read_key(in, record.key)) return status;
  return read_item(in, record.item);
}

}  // namespace
}  // namespace bop::proto::kv_format

using namespace bop::proto::kv_format;

int32_t bop_kv_encode_command(const bop_kv_operation* operations, size_t count, uint8_t* out,
                              size_t capacity, size_t* size) {
  *size = 0;
  if (const auto status = check_count(count, BOP_E_INVALID_ARGUMENT)) return status;
  const std::span all(operations, count);
  for (const bop_kv_operation& operation : all) {
    if (const auto status = check_operation(operation)) return status;
  }
  return encode(command_bytes(all), out, capacity, size,
                [&](Cursor& cursor) { put_command(cursor, all); });
}

int32_t bop_kv_open_command(bop_bytes command, bop_kv_reader* reader) {
  bop::Reader in = reader_of(command);
  const uint8_t version = in.u8();
  const uint8_t zero = in.u8();
  const uint16_t count = in.u16();
  if (!in.ok() || version != BOP_KV_VERSION || zero != 0)
    return end_reading(*reader, BOP_E_PROTOCOL);
  if (const auto status = check_count(count, BOP_E_PROTOCOL)) return end_reading(*reader, status);
  // The count is not checked against the bytes here: reading an operation reports what is wrong with it.
  *reader = {as_c(in.rest()), count, BOP_OK};
  return BOP_OK;
}

int32_t bop_kv_next_operation(bop_kv_reader* reader, bop_kv_operation* operation) {
  return next(*reader, [&](bop::Reader& in) { return read_operation(in, *operation); });
}

int32_t bop_kv_encode_query(const bop_kv_query* query, uint8_t* out, size_t capacity,
                            size_t* size) {
  constexpr int32_t bad = BOP_E_INVALID_ARGUMENT;
  *size = 0;
  switch (query->kind) {
    case BOP_KV_GET: {
      if ((query->flags & ~get_flags) != 0) return bad;
      if (const auto status = check_count(query->key_count, bad)) return status;
      const std::span keys(query->keys, query->key_count);
      for (const bop_bytes& key : keys) {
        if (const auto status = check_key(key.size, bad)) return status;
      }
      return encode(get_bytes(keys), out, capacity, size,
                    [&](Cursor& cursor) { put_get(cursor, query->flags, keys); });
    }
    case BOP_KV_RANGE:
      if (const auto status = check_range(*query, bad)) return status;
      return encode(range_bytes(*query), out, capacity, size,
                    [&](Cursor& cursor) { put_range(cursor, *query); });
    case BOP_KV_COUNT:
      if (query->flags != 0) return bad;
      return encode(query_head_bytes, out, capacity, size,
                    [](Cursor& cursor) { put_query_head(cursor, BOP_KV_COUNT, 0); });
    default: return bad;
  }
}

int32_t bop_kv_open_query(bop_bytes message, bop_kv_query* query, bop_kv_reader* keys) {
  *query = {};
  *keys = {};
  bop::Reader in = reader_of(message);
  const int32_t status = open_query(in, *query, *keys);
  return status == BOP_OK ? BOP_OK : end_reading(*keys, status);
}

int32_t bop_kv_next_key(bop_kv_reader* keys, bop_bytes* key) {
  return next(*keys, [&](bop::Reader& in) { return read_key(in, *key); });
}

int32_t bop_kv_encode_items(uint64_t index, const bop_kv_item* items, size_t count, uint8_t* out,
                            size_t capacity, size_t* size) {
  *size = 0;
  if (count > UINT16_MAX) return BOP_E_TOO_LARGE;
  const std::span all(items, count);
  size_t message = items_head_bytes;
  for (const bop_kv_item& item : all) {
    if (const auto status = check_item(item)) return status;
    message += item_head_bytes + item.value.size;
  }
  return encode(message, out, capacity, size, [&](Cursor& cursor) {
    put_items_head(cursor, index, count);
    for (const bop_kv_item& item : all) put_item(cursor, item);
  });
}

int32_t bop_kv_open_items(bop_bytes body, uint64_t* index, bop_kv_reader* reader) {
  bop::Reader in = reader_of(body);
  *index = in.u64();
  const uint16_t count = in.u16();
  return begin_reading(*reader, in, count, item_head_bytes);
}

int32_t bop_kv_next_item(bop_kv_reader* reader, bop_kv_item* item) {
  return next(*reader, [&](bop::Reader& in) { return read_item(in, *item); });
}

int32_t bop_kv_encode_records(uint64_t index, int32_t more, const bop_kv_record* records,
                              size_t count, uint8_t* out, size_t capacity, size_t* size) {
  *size = 0;
  if (more != 0 && more != 1) return BOP_E_INVALID_ARGUMENT;
  if (count > BOP_KV_RANGE_MAX) return BOP_E_TOO_LARGE;
  const std::span all(records, count);
  size_t message = records_head_bytes;
  for (const bop_kv_record& record : all) {
    if (const auto status = check_key(record.key.size, BOP_E_INVALID_ARGUMENT)) return status;
    if (const auto status = check_item(record.item)) return status;
    message += key_head_bytes + record.key.size + item_head_bytes + record.item.value.size;
  }
  return encode(message, out, capacity, size, [&](Cursor& cursor) {
    put_records_head(cursor, index, more != 0, count);
    for (const bop_kv_record& record : all) {
      put_key_head(cursor, record.key.size);
      cursor.bytes(record.key);
      put_item(cursor, record.item);
    }
  });
}

int32_t bop_kv_open_records(bop_bytes body, uint64_t* index, int32_t* more, bop_kv_reader* reader) {
  bop::Reader in = reader_of(body);
  *index = in.u64();
  *more = in.u8();
  const uint32_t count = in.u32();
  if (*more > 1) return end_reading(*reader, BOP_E_PROTOCOL);
  if (const auto status = begin_reading(*reader, in, count, key_head_bytes + item_head_bytes))
    return status;
  return count > BOP_KV_RANGE_MAX ? end_reading(*reader, BOP_E_TOO_LARGE) : BOP_OK;
}

int32_t bop_kv_next_record(bop_kv_reader* reader, bop_kv_record* record) {
  return next(*reader, [&](bop::Reader& in) { return read_record(in, *record); });
}

int32_t bop_kv_encode_count(uint64_t index, uint64_t records, uint8_t* out, size_t capacity,
                            size_t* size) {
  return encode(count_bytes, out, capacity, size,
                [&](Cursor& cursor) { put_count(cursor, index, records); });
}

int32_t bop_kv_decode_count(bop_bytes body, uint64_t* index, uint64_t* records) {
  bop::Reader in = reader_of(body);
  *index = in.u64();
  *records = in.u64();
  return in.complete() ? BOP_OK : BOP_E_PROTOCOL;
}

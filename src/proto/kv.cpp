#include "proto/kv.h"

#include <fmt/format.h>

#include <ranges>

#include "base/assert.h"
#include "proto/kv_format.h"

namespace bop::proto {

namespace {

using kv_format::as_c;
using kv_format::bytes_of;
using kv_format::Cursor;

bop_kv_operation operation_as_c(const KvOperation& operation) {
  return {static_cast<uint8_t>(operation.op),
          operation.flags,
          {},
          as_c(operation.key),
          as_c(operation.value),
          operation.delta,
          operation.revision,
          as_c(operation.expected)};
}

// `put` writes `size` bytes.
template <class Put>
mem::Buffer encode(mem::Arena& arena, size_t size, const Put& put) {
  uint8_t* start = arena.reserve(size);
  Cursor cursor(start);
  put(cursor);
  BOP_ASSERT_EQ(cursor.since(start), size);
  return arena.commit(size);
}

KvItem item_of(const bop_kv_item& item) {
  return {item.present != 0, item.revision, bytes_of(item.value)};
}

}  // namespace

Status check_kv_key(Bytes key) {
  if (key.empty()) return fail(BOP_E_INVALID_ARGUMENT, "a key must not be empty");
  if (key.size() > BOP_KV_KEY_MAX) {
    return fail(BOP_E_TOO_LARGE,
                fmt::format("a key of {} bytes; the limit is {}", key.size(), BOP_KV_KEY_MAX));
  }
  return {};
}

Status check_kv_value(Bytes value) {
  if (value.size() > BOP_KV_VALUE_MAX) {
    return fail(BOP_E_TOO_LARGE, fmt::format("a value of {} bytes; the limit is {}", value.size(),
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
  const auto all = operations | std::views::transform(operation_as_c);
  return encode(arena, kv_format::command_bytes(all),
                [&](Cursor& cursor) { kv_format::put_command(cursor, all); });
}

mem::Buffer encode_kv_get(mem::Arena& arena, std::span<const Bytes> keys, uint16_t flags) {
  BOP_ASSERT(!keys.empty());
  BOP_ASSERT_LE(keys.size(), BOP_KV_OPERATIONS_MAX);
  const auto all = keys | std::views::transform(as_c);
  return encode(arena, kv_format::get_bytes(all),
                [&](Cursor& cursor) { kv_format::put_get(cursor, flags, all); });
}

mem::Buffer encode_kv_range(mem::Arena& arena, const KvRange& range) {
  bop_kv_query query{};
  query.flags = range.flags;
  query.limit = range.limit;
  query.first = as_c(range.first);
  query.end = as_c(range.end);
  return encode(arena, kv_format::range_bytes(query),
                [&](Cursor& cursor) { kv_format::put_range(cursor, query); });
}

mem::Buffer encode_kv_count(mem::Arena& arena) {
  return encode(arena, kv_format::query_head_bytes,
                [](Cursor& cursor) { kv_format::put_query_head(cursor, BOP_KV_COUNT, 0); });
}

KvItems::KvItems(Bytes body) {
  bop_kv_open_items(as_c(body), &position_, &reader_);
  count_ = static_cast<uint16_t>(reader_.left);
}

bool KvItems::next(KvItem& item) {
  bop_kv_item read;
  if (bop_kv_next_item(&reader_, &read) != 1) return false;
  item = item_of(read);
  return true;
}

KvRecords::KvRecords(Bytes body) {
  int32_t more = 0;
  bop_kv_open_records(as_c(body), &applied_, &more, &reader_);
  more_ = more != 0;
  count_ = reader_.left;
}

bool KvRecords::next(Bytes& key, KvItem& item) {
  bop_kv_record read;
  if (bop_kv_next_record(&reader_, &read) != 1) return false;
  key = bytes_of(read.key);
  item = item_of(read.item);
  return true;
}

Result<uint64_t> decode_kv_count(Bytes body) {
  uint64_t index = 0;
  uint64_t records = 0;
  if (bop_kv_decode_count(as_c(body), &index, &records) != BOP_OK) {
    return fail(BOP_E_PROTOCOL, "the reply is not a count");
  }
  return records;
}

}  // namespace bop::proto

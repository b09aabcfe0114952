#include "kv.h"

#include <cstdio>
#include <cstdlib>

namespace kv {
namespace {

bop_bytes as_c(std::string_view text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}
std::string_view text_of(bop_bytes bytes) {
  return {reinterpret_cast<const char*>(bytes.data), bytes.size};
}

// The commands validate user input before they encode it, so a failure is a bug.
void check(int32_t status) {
  if (status == BOP_OK) return;
  std::fprintf(stderr, "bop: bug: a message of kv could not be encoded: %s\n",
               bop_error_name(status));
  std::abort();
}

// `encode` is called as bop_kv_encode_*: (out, capacity, size).
template <class Encode>
std::string encoded(const Encode& encode) {
  size_t size = 0;
  check(encode(nullptr, 0, &size));
  std::string message(size, '\0');
  check(encode(reinterpret_cast<uint8_t*>(message.data()), size, &size));
  return message;
}

std::string query(const bop_kv_query& query) {
  return encoded([&](uint8_t* out, size_t capacity, size_t* size) {
    return bop_kv_encode_query(&query, out, capacity, size);
  });
}

Item item_of(const bop_kv_item& item) {
  return {item.present != 0, item.revision, text_of(item.value)};
}

}  // namespace

std::string command(const std::vector<Operation>& operations) {
  std::vector<bop_kv_operation> all;
  all.reserve(operations.size());
  for (const Operation& operation : operations) {
    all.push_back({static_cast<uint8_t>(operation.op),
                   operation.flags,
                   {},
                   as_c(operation.key),
                   as_c(operation.value),
                   operation.delta,
                   operation.revision,
                   as_c(operation.expected)});
  }
  return encoded([&](uint8_t* out, size_t capacity, size_t* size) {
    return bop_kv_encode_command(all.data(), all.size(), out, capacity, size);
  });
}

std::string get(const std::vector<std::string_view>& keys) {
  std::vector<bop_bytes> all;
  all.reserve(keys.size());
  for (const std::string_view key : keys) all.push_back(as_c(key));
  bop_kv_query get{};
  get.kind = BOP_KV_GET;
  get.keys = all.data();
  get.key_count = all.size();
  return query(get);
}

std::string range(const Range& range) {
  bop_kv_query question{};
  question.kind = BOP_KV_RANGE;
  question.flags = range.flags;
  question.limit = range.limit;
  question.first = as_c(range.first);
  question.end = as_c(range.end);
  return query(question);
}

std::optional<Items> read_items(std::string_view body) {
  Items items;
  bop_kv_reader reader;
  bop_kv_open_items(as_c(body), &items.position, &reader);
  items.items.reserve(reader.left);
  for (bop_kv_item item; bop_kv_next_item(&reader, &item) == 1;)
    items.items.push_back(item_of(item));
  if (reader.failed != BOP_OK) return std::nullopt;
  return items;
}

std::optional<Records> read_records(std::string_view body) {
  Records records;
  bop_kv_reader reader;
  int32_t more = 0;
  bop_kv_open_records(as_c(body), &records.applied, &more, &reader);
  records.more = more != 0;
  records.records.reserve(reader.left);
  for (bop_kv_record record; bop_kv_next_record(&reader, &record) == 1;)
    records.records.push_back({text_of(record.key), item_of(record.item)});
  if (reader.failed != BOP_OK) return std::nullopt;
  return records;
}

}  // namespace kv

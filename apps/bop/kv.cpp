#include "kv.h"

#include <cstring>
#include <type_traits>

namespace kv {
namespace {

template <class T>
void put(std::string& out, T value) {
  for (size_t i = 0; i < sizeof value; ++i) {
    out += static_cast<char>(static_cast<uint64_t>(value) >> (8 * i));
  }
}

// Reads from the front; once too short it stays bad.
class Reader {
 public:
  explicit Reader(std::string_view rest) : rest_(rest) {}

  template <class T>
  T number() {
    const std::string_view raw = bytes(sizeof(T));
    uint64_t value = 0;
    for (size_t i = 0; i < raw.size(); ++i) {
      value |= uint64_t{static_cast<unsigned char>(raw[i])} << (8 * i);
    }
    return static_cast<T>(value);
  }
  std::string_view bytes(size_t size) {
    if (!good_ || size > rest_.size()) {
      good_ = false;
      return {};
    }
    const std::string_view taken = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return taken;
  }
  Item item() {
    Item item;
    item.present = number<uint8_t>() != 0;
    item.revision = number<uint64_t>();
    item.value = bytes(number<uint32_t>());
    return item;
  }
  bool good() const { return good_; }
  bool complete() const { return good_ && rest_.empty(); }

 private:
  std::string_view rest_;
  bool good_ = true;
};

void put_operation(std::string& out, const Operation& operation) {
  put<uint8_t>(out, operation.op);
  put<uint8_t>(out, operation.flags);
  put<uint16_t>(out, operation.key.size());
  put<uint32_t>(out, operation.value.size());
  if ((operation.flags & BOP_KV_IF_REVISION) != 0) put<uint64_t>(out, operation.revision);
  if ((operation.flags & BOP_KV_IF_VALUE) != 0) put<uint32_t>(out, operation.expected.size());
  out += operation.key;
  out += operation.value;
  if ((operation.flags & BOP_KV_IF_VALUE) != 0) out += operation.expected;
}

std::string question(bop_kv_question kind, uint16_t flags) {
  std::string out;
  put<uint8_t>(out, BOP_KV_VERSION);
  put<uint8_t>(out, kind);
  put<uint16_t>(out, flags);
  return out;
}

}  // namespace

std::string add_value(int64_t delta) {
  std::string out;
  put<int64_t>(out, delta);
  return out;
}

std::string command(const std::vector<Operation>& operations) {
  std::string out;
  put<uint8_t>(out, BOP_KV_VERSION);
  put<uint8_t>(out, 0);
  put<uint16_t>(out, operations.size());
  for (const Operation& operation : operations) put_operation(out, operation);
  return out;
}

std::string get(const std::vector<std::string_view>& keys, uint16_t flags) {
  std::string out = question(BOP_KV_GET, flags);
  put<uint16_t>(out, keys.size());
  for (const std::string_view key : keys) {
    put<uint16_t>(out, key.size());
    out += key;
  }
  return out;
}

std::string range(const Range& range) {
  std::string out = question(BOP_KV_RANGE, range.flags);
  put<uint32_t>(out, range.limit);
  put<uint16_t>(out, range.first.size());
  put<uint16_t>(out, range.end.size());
  out += range.first;
  out += range.end;
  return out;
}

std::optional<Items> read_items(std::string_view body) {
  Reader reader(body);
  Items items;
  items.position = reader.number<uint64_t>();
  const auto count = reader.number<uint16_t>();
  for (uint16_t i = 0; i < count && reader.good(); ++i) items.items.push_back(reader.item());
  if (!reader.complete()) return std::nullopt;
  return items;
}

std::optional<Records> read_records(std::string_view body) {
  Reader reader(body);
  Records records;
  records.applied = reader.number<uint64_t>();
  records.more = reader.number<uint8_t>() != 0;
  const auto count = reader.number<uint32_t>();
  for (uint32_t i = 0; i < count && reader.good(); ++i) {
    Record record;
    record.key = reader.bytes(reader.number<uint16_t>());
    record.item = reader.item();
    records.records.push_back(record);
  }
  if (!reader.complete()) return std::nullopt;
  return records;
}

}  // namespace kv

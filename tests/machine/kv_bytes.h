// Encodes commands and queries of kv, and decodes replies, as defined in bop/kv.h.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "bop/kv.h"

namespace bop::machine::kv::test {

struct Op {
  bop_kv_op op = BOP_KV_PUT;
  std::string key;
  std::string value;
  uint8_t flags = 0;
  uint64_t revision = 0;
  std::string expected;
};

inline std::vector<uint8_t> command(const std::vector<Op>& operations) {
  std::vector<uint8_t> out;
  Writer writer(out);
  writer.u8(BOP_KV_VERSION);
  writer.u8(0);
  writer.u16(static_cast<uint16_t>(operations.size()));
  for (const Op& operation : operations) {
    writer.u8(operation.op);
    writer.u8(operation.flags);
    writer.u16(static_cast<uint16_t>(operation.key.size()));
    writer.u32(static_cast<uint32_t>(operation.value.size()));
    if ((operation.flags & BOP_KV_IF_REVISION) != 0) writer.u64(operation.revision);
    if ((operation.flags & BOP_KV_IF_VALUE) != 0)
      writer.u32(static_cast<uint32_t>(operation.expected.size()));
    writer.bytes(as_bytes(operation.key));
    writer.bytes(as_bytes(operation.value));
    if ((operation.flags & BOP_KV_IF_VALUE) != 0) writer.bytes(as_bytes(operation.expected));
  }
  return out;
}

inline std::string number(int64_t value) {
  std::string out(8, '\0');
  store_le(reinterpret_cast<uint8_t*>(out.data()), value);
  return out;
}

inline Op put(std::string key, std::string value, uint8_t flags = 0) {
  return {BOP_KV_PUT, std::move(key), std::move(value), flags, 0, {}};
}
inline Op erase(std::string key, uint8_t flags = 0) {
  return {BOP_KV_DELETE, std::move(key), {}, flags, 0, {}};
}
inline Op add(std::string key, int64_t delta, uint8_t flags = 0) {
  return {BOP_KV_ADD, std::move(key), number(delta), flags, 0, {}};
}
inline Op append(std::string key, std::string value, uint8_t flags = 0) {
  return {BOP_KV_APPEND, std::move(key), std::move(value), flags, 0, {}};
}

inline std::vector<uint8_t> get(const std::vector<std::string>& keys, uint16_t flags = 0) {
  std::vector<uint8_t> out;
  Writer writer(out);
  writer.u8(BOP_KV_VERSION);
  writer.u8(BOP_KV_GET);
  writer.u16(flags);
  writer.u16(static_cast<uint16_t>(keys.size()));
  for (const std::string& key : keys) {
    writer.u16(static_cast<uint16_t>(key.size()));
    writer.bytes(as_bytes(key));
  }
  return out;
}

inline std::vector<uint8_t> range(std::string_view first, std::string_view end, uint32_t limit,
                                  uint16_t flags = 0) {
  std::vector<uint8_t> out;
  Writer writer(out);
  writer.u8(BOP_KV_VERSION);
  writer.u8(BOP_KV_RANGE);
  writer.u16(flags);
  writer.u32(limit);
  writer.u16(static_cast<uint16_t>(first.size()));
  writer.u16(static_cast<uint16_t>(end.size()));
  writer.bytes(as_bytes(first));
  writer.bytes(as_bytes(end));
  return out;
}

inline std::vector<uint8_t> count() { return {BOP_KV_VERSION, BOP_KV_COUNT, 0, 0}; }

struct Item {
  bool present = false;
  uint64_t revision = 0;
  std::string value;
  friend bool operator==(const Item&, const Item&) = default;
};
inline void PrintTo(const Item& item, std::ostream* out) {
  *out << (item.present ? "present" : "absent") << " @" << item.revision << " '" << item.value
       << "'";
}

inline Item read_item(Reader& reader) {
  Item item;
  item.present = reader.u8() != 0;
  item.revision = reader.u64();
  const uint32_t size = reader.u32();
  item.value = std::string(as_text(reader.bytes(size)));
  return item;
}

// The reply to a command or a GET: its revision or index, and its items.
struct Answer {
  uint64_t index = 0;
  std::vector<Item> items;
};
inline Answer read_answer(Bytes body) {
  Reader reader(body);
  Answer answer;
  answer.index = reader.u64();
  const uint16_t items = reader.u16();
  for (uint16_t i = 0; i < items; ++i) answer.items.push_back(read_item(reader));
  EXPECT_TRUE(reader.complete());
  return answer;
}

struct RangeAnswer {
  uint64_t index = 0;
  bool more = false;
  std::vector<std::pair<std::string, Item>> records;
};
inline RangeAnswer read_range(Bytes body) {
  Reader reader(body);
  RangeAnswer answer;
  answer.index = reader.u64();
  answer.more = reader.u8() != 0;
  const uint32_t records = reader.u32();
  for (uint32_t i = 0; i < records; ++i) {
    const uint16_t size = reader.u16();
    std::string key(as_text(reader.bytes(size)));
    answer.records.emplace_back(std::move(key), read_item(reader));
  }
  EXPECT_TRUE(reader.complete());
  return answer;
}

struct CountAnswer {
  uint64_t index = 0;
  uint64_t records = 0;
};
inline CountAnswer read_count(Bytes body) {
  Reader reader(body);
  CountAnswer answer{reader.u64(), reader.u64()};
  EXPECT_TRUE(reader.complete());
  return answer;
}

}  // namespace bop::machine::kv::test

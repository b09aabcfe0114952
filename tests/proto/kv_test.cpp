#include "proto/kv.h"

#include <gtest/gtest.h>

#include "bytes.h"

namespace bop::proto {
namespace {

std::vector<uint8_t> bytes_of(const mem::Buffer& buffer) {
  return {buffer.bytes().begin(), buffer.bytes().end()};
}

TEST(KvCommand, is_encoded_as_documented_in_kv_h) {
  mem::Arena arena;
  KvOperation put;
  put.flags = BOP_KV_IF_REVISION | BOP_KV_IF_VALUE;
  put.key = as_bytes("k");
  put.value = as_bytes("vw");
  put.revision = 0x0102;
  put.expected = as_bytes("xyz");
  KvOperation add;
  add.op = BOP_KV_ADD;
  add.key = as_bytes("n");
  add.delta = -2;
  const std::vector<uint8_t> expected{
      1,   0,    2,    0,                                  // version, zero, count
      1,   12,   1,    0,    2,    0,    0,    0,          // PUT, flags, key size, value size
      2,   1,    0,    0,    0,    0,    0,    0,          // revision
      3,   0,    0,    0,                                  // expected size
      'k', 'v',  'w',  'x',  'y',  'z',                    //
      3,   0,    1,    0,    8,    0,    0,    0,          // ADD
      'n', 0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff  // delta
  };
  EXPECT_EQ(bytes_of(encode_kv_command(arena, std::vector{put, add})), expected);
}

TEST(KvQuestion, is_encoded_as_documented_in_kv_h) {
  mem::Arena arena;
  const std::vector<Bytes> keys{as_bytes("a"), as_bytes("bc")};
  EXPECT_EQ(bytes_of(encode_kv_get(arena, keys, BOP_KV_KEYS_ONLY)),
            (std::vector<uint8_t>{1, 1, 1, 0, 2, 0, 1, 0, 'a', 2, 0, 'b', 'c'}));
  EXPECT_EQ(bytes_of(encode_kv_range(arena, {BOP_KV_AFTER, 7, as_bytes("a"), as_bytes("zz")})),
            (std::vector<uint8_t>{1, 2, 4, 0, 7, 0, 0, 0, 1, 0, 2, 0, 'a', 'z', 'z'}));
  EXPECT_EQ(bytes_of(encode_kv_count(arena)), (std::vector<uint8_t>{1, 3, 0, 0}));
}

std::vector<uint8_t> two_items() {
  std::vector<uint8_t> body;
  Writer writer(body);
  writer.u64(55);
  writer.u16(2);
  writer.u8(1);
  writer.u64(50);
  writer.u32(3);
  writer.bytes(as_bytes("abc"));
  writer.u8(0);
  writer.u64(0);
  writer.u32(0);
  return body;
}

TEST(KvItems, gives_each_item_of_a_reply) {
  const auto body = two_items();
  KvItems items(body);
  EXPECT_EQ(items.position(), 55u);
  EXPECT_EQ(items.count(), 2);
  KvItem item;
  ASSERT_TRUE(items.next(item));
  EXPECT_TRUE(item.present);
  EXPECT_EQ(item.revision, 50u);
  EXPECT_EQ(text(item.value), "abc");
  ASSERT_TRUE(items.next(item));
  EXPECT_FALSE(item.present);
  EXPECT_FALSE(items.next(item));
  EXPECT_TRUE(items.ok());
}

TEST(KvItems, is_not_ok_for_a_reply_that_is_cut_or_too_long) {
  auto body = two_items();
  for (size_t size = 0; size < body.size(); ++size) {
    KvItems items(Bytes(body).first(size));
    KvItem item;
    while (items.next(item)) {
    }
    EXPECT_FALSE(items.ok()) << size;
  }
  body.push_back(0);
  KvItems items(body);
  KvItem item;
  while (items.next(item)) {
  }
  EXPECT_FALSE(items.ok());
}

TEST(KvRecords, gives_each_record_of_a_range) {
  std::vector<uint8_t> body;
  Writer writer(body);
  writer.u64(9);
  writer.u8(1);
  writer.u32(1);
  writer.u16(3);
  writer.bytes(as_bytes("key"));
  writer.u8(1);
  writer.u64(4);
  writer.u32(5);
  writer.bytes(as_bytes("value"));
  KvRecords records(body);
  EXPECT_EQ(records.applied(), 9u);
  EXPECT_TRUE(records.more());
  EXPECT_EQ(records.count(), 1u);
  Bytes key;
  KvItem item;
  ASSERT_TRUE(records.next(key, item));
  EXPECT_EQ(text(key), "key");
  EXPECT_EQ(text(item.value), "value");
  EXPECT_FALSE(records.next(key, item));
  EXPECT_TRUE(records.ok());
  for (size_t size = 0; size < body.size(); ++size) {
    KvRecords cut(Bytes(body).first(size));
    while (cut.next(key, item)) {
    }
    EXPECT_FALSE(cut.ok()) << size;
  }
}

TEST(KvCount, is_read_or_refused) {
  std::vector<uint8_t> body;
  Writer writer(body);
  writer.u64(9);
  writer.u64(1234);
  EXPECT_EQ(decode_kv_count(body).value(), 1234u);
  body.pop_back();
  EXPECT_EQ(decode_kv_count(body).error().code, BOP_E_PROTOCOL);
}

TEST(KvLimits, are_named_when_they_are_exceeded) {
  EXPECT_TRUE(check_kv_key(as_bytes("k")));
  EXPECT_TRUE(check_kv_key(as_bytes(std::string(BOP_KV_KEY_MAX, 'k'))));
  EXPECT_EQ(check_kv_key({}).error().code, BOP_E_INVALID_ARGUMENT);
  EXPECT_EQ(check_kv_key(as_bytes(std::string(BOP_KV_KEY_MAX + 1, 'k'))).error().code,
            BOP_E_TOO_LARGE);
  EXPECT_TRUE(check_kv_value({}));
  const std::string large(BOP_KV_VALUE_MAX + 1, 'v');
  EXPECT_TRUE(check_kv_value(as_bytes(large).first(BOP_KV_VALUE_MAX)));
  EXPECT_EQ(check_kv_value(as_bytes(large)).error().code, BOP_E_TOO_LARGE);
}

}  // namespace
}  // namespace bop::proto

#include "sim/model.h"

#include <gtest/gtest.h>

#include "mem/buffer.h"
#include "proto/kv.h"

namespace bop::sim {
namespace {

struct Model : testing::Test {
  proto::KvOperation operation(bop_kv_op op, std::string_view key, std::string_view value = {},
                               uint8_t flags = 0) {
    proto::KvOperation operation;
    operation.op = op;
    operation.flags = flags;
    operation.key = as_bytes(key);
    operation.value = as_bytes(value);
    return operation;
  }
  KvModel::Answer apply(Index index, std::vector<proto::KvOperation> operations) {
    return model.apply(proto::encode_kv_command(arena, operations).bytes(), index);
  }

  mem::Arena arena;
  KvModel model;
};

TEST_F(Model, a_put_gives_its_index_as_revision) {
  EXPECT_EQ(apply(7, {operation(BOP_KV_PUT, "a", "1")}).revision, 7u);
  EXPECT_EQ(model.records().at("a"), (KvModel::Record{"1", 7}));
}

TEST_F(Model, operations_of_a_command_happen_together_or_not_at_all) {
  apply(1, {operation(BOP_KV_PUT, "a", "1")});
  const auto answer = apply(
      2, {operation(BOP_KV_PUT, "b", "2"), operation(BOP_KV_PUT, "a", "3", BOP_KV_IF_ABSENT)});
  EXPECT_EQ(answer.status, BOP_E_CONDITION_FAILED);
  EXPECT_FALSE(model.records().contains("b"));
  ASSERT_EQ(answer.items.size(), 2u);
  EXPECT_EQ(answer.items[0].present, false);
  EXPECT_EQ(answer.items[1].value, "1");
}

TEST_F(Model, conditions_look_at_presence_value_and_revision) {
  apply(3, {operation(BOP_KV_PUT, "a", "1")});
  proto::KvOperation put = operation(BOP_KV_PUT, "a", "2", BOP_KV_IF_REVISION);
  put.revision = 2;
  EXPECT_EQ(apply(4, {put}).status, BOP_E_CONDITION_FAILED);
  put.revision = 3;
  EXPECT_EQ(apply(5, {put}).status, BOP_OK);
  put = operation(BOP_KV_PUT, "a", "3", BOP_KV_IF_VALUE);
  put.expected = as_bytes("1");
  EXPECT_EQ(apply(6, {put}).status, BOP_E_CONDITION_FAILED);
  put.expected = as_bytes("2");
  EXPECT_EQ(apply(7, {put}).status, BOP_OK);
  EXPECT_EQ(apply(8, {operation(BOP_KV_DELETE, "b", "", BOP_KV_IF_PRESENT)}).status,
            BOP_E_CONDITION_FAILED);
}

TEST_F(Model, numbers_are_decimal_and_bounded) {
  proto::KvOperation add = operation(BOP_KV_ADD, "n");
  add.delta = 5;
  EXPECT_EQ(apply(1, {add}).items[0].value, "5");
  add.delta = -7;
  EXPECT_EQ(apply(2, {add}).items[0].value, "-2");
  add.delta = INT64_MIN;
  EXPECT_EQ(apply(3, {add}).status, BOP_E_OVERFLOW);
  apply(4, {operation(BOP_KV_PUT, "n", "02")});
  EXPECT_EQ(apply(5, {add}).status, BOP_E_WRONG_TYPE);
  EXPECT_EQ(model.records().at("n").value, "02");
}

TEST_F(Model, appends_tell_the_length_and_deletions_whether_there_was_a_record) {
  apply(1, {operation(BOP_KV_APPEND, "a", "xy")});
  EXPECT_EQ(apply(2, {operation(BOP_KV_APPEND, "a", "z")}).items[0].value,
            std::string("\3\0\0\0\0\0\0\0", 8));
  EXPECT_EQ(model.records().at("a").value, "xyz");
  EXPECT_EQ(apply(3, {operation(BOP_KV_DELETE, "a")}).items[0].present, true);
  EXPECT_EQ(apply(4, {operation(BOP_KV_DELETE, "a")}).items[0].present, false);
  EXPECT_TRUE(model.records().empty());
}

TEST_F(Model, tells_what_differs_in_an_answer) {
  const auto expected = apply(9, {operation(BOP_KV_PUT, "a", "1", BOP_KV_RETURN_PREVIOUS)});
  const auto body = [](uint64_t revision, bool present) {
    std::vector<uint8_t> bytes;
    Writer writer(bytes);
    writer.u64(revision);
    writer.u16(1);
    writer.u8(present ? 1 : 0);
    writer.u64(0);
    writer.u32(0);
    return bytes;
  };
  EXPECT_EQ(KvModel::difference(expected, BOP_OK, body(9, false)), "");
  EXPECT_NE(KvModel::difference(expected, BOP_OK, body(8, false)), "");
  EXPECT_NE(KvModel::difference(expected, BOP_OK, body(9, true)), "");
  EXPECT_NE(KvModel::difference(expected, BOP_E_OVERFLOW, body(9, false)), "");
  EXPECT_NE(KvModel::difference(expected, BOP_OK, {}), "");
}

}  // namespace
}  // namespace bop::sim

// The C codec of bop/kv.h beyond its examples (spec_test.cpp): computed lengths, short buffers, refused
// arguments, readers that fail.
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "bop/kv.h"

namespace bop::proto {
namespace {

using Encode = std::function<int32_t(uint8_t* out, size_t capacity, size_t* size)>;

bop_bytes as_c(std::string_view text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}
bop_bytes as_c(const std::vector<uint8_t>& bytes) { return {bytes.data(), bytes.size()}; }
std::string_view text(bop_bytes bytes) { return as_text(Bytes(bytes.data, bytes.size)); }

std::vector<uint8_t> encoded(const Encode& encode) {
  size_t size = 0;
  EXPECT_EQ(encode(nullptr, 0, &size), BOP_OK);
  std::vector<uint8_t> bytes(size);
  EXPECT_EQ(encode(bytes.data(), bytes.size(), &size), BOP_OK);
  return bytes;
}

// The result of encoding into a buffer that is large enough for anything; on an error the length is 0.
int32_t refused(const Encode& encode) {
  std::vector<uint8_t> out(64);
  size_t size = 1;
  const int32_t status = encode(out.data(), out.size(), &size);
  EXPECT_EQ(size, 0u);
  EXPECT_EQ(out, std::vector<uint8_t>(64)) << "nothing is written";
  return status;
}

bop_kv_operation put(std::string_view key, std::string_view value) {
  bop_kv_operation operation{};
  operation.op = BOP_KV_PUT;
  operation.key = as_c(key);
  operation.value = as_c(value);
  return operation;
}

Encode command(const std::vector<bop_kv_operation>& operations) {
  return [=](uint8_t* out, size_t capacity, size_t* size) {
    return bop_kv_encode_command(operations.data(), operations.size(), out, capacity, size);
  };
}

Encode query(const bop_kv_query& query) {
  return [=](uint8_t* out, size_t capacity, size_t* size) {
    return bop_kv_encode_query(&query, out, capacity, size);
  };
}

Encode items(const std::vector<bop_kv_item>& items) {
  return [=](uint8_t* out, size_t capacity, size_t* size) {
    return bop_kv_encode_items(7, items.data(), items.size(), out, capacity, size);
  };
}

Encode records(const std::vector<bop_kv_record>& records, int32_t more = 0) {
  return [=](uint8_t* out, size_t capacity, size_t* size) {
    return bop_kv_encode_records(7, more, records.data(), records.size(), out, capacity, size);
  };
}

bop_kv_query get_of(const std::vector<bop_bytes>& keys) {
  bop_kv_query query{};
  query.kind = BOP_KV_GET;
  query.keys = keys.data();
  query.key_count = keys.size();
  return query;
}

TEST(KvEncoder, returns_the_needed_length_and_writes_nothing_into_a_buffer_that_is_too_short) {
  const Encode encode = command({put("key", "value")});
  const size_t needed = encoded(encode).size();
  for (size_t capacity = 0; capacity < needed; ++capacity) {
    std::vector<uint8_t> out(needed, 0xaa);
    size_t size = 0;
    EXPECT_EQ(encode(out.data(), capacity, &size), BOP_E_TOO_LARGE);
    EXPECT_EQ(size, needed);
    EXPECT_EQ(out, std::vector<uint8_t>(needed, 0xaa));
  }
}

TEST(KvEncoder, refuses_operations_that_are_not_of_the_grammar) {
  const auto with = [](const std::function<void(bop_kv_operation&)>& change) {
    bop_kv_operation operation = put("k", "v");
    change(operation);
    return refused(command({put("fine", ""), operation}));
  };
  EXPECT_EQ(refused(command({})), BOP_E_INVALID_ARGUMENT);
  EXPECT_EQ(with([](auto& o) { o.op = 0; }), BOP_E_INVALID_ARGUMENT);
  EXPECT_EQ(with([](auto& o) { o.op = BOP_KV_APPEND + 1; }), BOP_E_INVALID_ARGUMENT);
  EXPECT_EQ(with([](auto& o) { o.flags = 64; }), BOP_E_INVALID_ARGUMENT);
  EXPECT_EQ(with([](auto& o) { o.key = as_c(""); }), BOP_E_INVALID_ARGUMENT);
  EXPECT_EQ(with([](auto& o) { o.op = BOP_KV_DELETE; }), BOP_E_INVALID_ARGUMENT) << "has a value";
  EXPECT_EQ(with([](auto& o) { o.op = BOP_KV_ADD; }), BOP_E_INVALID_ARGUMENT) << "has a value";
  EXPECT_EQ(with([](auto& o) { o.expected = as_c("e"); }), BOP_E_INVALID_ARGUMENT)
      << "without IF_VALUE";
}

TEST(KvEncoder, refuses_lengths_and_counts_over_their_limits) {
  const std::string key(BOP_KV_KEY_MAX + 1, 'k');
  const std::string value(BOP_KV_VALUE_MAX + 1, 'v');
  EXPECT_EQ(refused(command({put(key, "")})), BOP_E_TOO_LARGE);
  EXPECT_EQ(refused(command({put("k", value)})), BOP_E_TOO_LARGE);
  bop_kv_operation expects = put("k", "v");
  expects.flags = BOP_KV_IF_VALUE;
  expects.expected = as_c(value);
  EXPECT_EQ(refused(command({expects})), BOP_E_TOO_LARGE);
  const std::vector<bop_kv_operation> many(BOP_KV_OPERATIONS_MAX + 1, put("k", ""));
  EXPECT_EQ(refused(command(many)), BOP_E_TOO_LARGE);

  const std::vector<bop_bytes> keys(BOP_KV_OPERATIONS_MAX + 1, as_c("k"));
  EXPECT_EQ(refused(query(get_of(keys))), BOP_E_TOO_LARGE);
  const std::vector<bop_kv_item> too_many(65536);
  EXPECT_EQ(refused(items(too_many)), BOP_E_TOO_LARGE);
  const std::vector<bop_kv_record> page(BOP_KV_RANGE_MAX + 1, {as_c("k"), {}});
  EXPECT_EQ(refused(records(page)), BOP_E_TOO_LARGE);
  EXPECT_EQ(refused(records({{as_c(key), {}}})), BOP_E_TOO_LARGE);
}

TEST(KvEncoder, accepts_arguments_at_their_limits) {
  const std::string key(BOP_KV_KEY_MAX, 'k');
  const std::string value(BOP_KV_VALUE_MAX, 'v');
  EXPECT_EQ(encoded(command({put(key, value)})).size(), 4 + 8 + key.size() + value.size());
  const std::vector<bop_kv_operation> many(BOP_KV_OPERATIONS_MAX, put("k", ""));
  EXPECT_EQ(encoded(command(many)).size(), 4 + many.size() * 9);
  const std::vector<bop_kv_record> page(BOP_KV_RANGE_MAX, {as_c("k"), {}});
  EXPECT_EQ(encoded(records(page)).size(), 13 + page.size() * 16);
}

TEST(KvEncoder, refuses_queries_that_are_not_of_the_grammar) {
  bop_kv_query wrong{};
  EXPECT_EQ(refused(query(wrong)), BOP_E_INVALID_ARGUMENT) << "no kind";
  EXPECT_EQ(refused(query(get_of({}))), BOP_E_INVALID_ARGUMENT);
  const std::vector<bop_bytes> keys{as_c("")};
  EXPECT_EQ(refused(query(get_of(keys))), BOP_E_INVALID_ARGUMENT);
  wrong.kind = BOP_KV_RANGE;
  EXPECT_EQ(refused(query(wrong)), BOP_E_INVALID_ARGUMENT) << "no limit";
  wrong.limit = BOP_KV_RANGE_MAX + 1;
  EXPECT_EQ(refused(query(wrong)), BOP_E_TOO_LARGE);
  wrong.limit = 1;
  wrong.flags = BOP_KV_PREFIX;
  wrong.end = as_c("z");
  EXPECT_EQ(refused(query(wrong)), BOP_E_INVALID_ARGUMENT) << "a prefix with an end";
  wrong = {};
  wrong.kind = BOP_KV_COUNT;
  wrong.flags = BOP_KV_KEYS_ONLY;
  EXPECT_EQ(refused(query(wrong)), BOP_E_INVALID_ARGUMENT);
}

TEST(KvEncoder, refuses_contradictory_items) {
  bop_kv_item item{};
  item.revision = 9;
  EXPECT_EQ(refused(items({item})), BOP_E_INVALID_ARGUMENT) << "absent, with a revision";
  item.revision = 0;
  item.value = as_c("v");
  EXPECT_EQ(refused(items({item})), BOP_E_INVALID_ARGUMENT) << "absent, with a value";
  item.present = 2;
  EXPECT_EQ(refused(items({item})), BOP_E_INVALID_ARGUMENT);
  EXPECT_EQ(refused(records({{as_c("k"), {}}}, 2)), BOP_E_INVALID_ARGUMENT);
}

TEST(KvReader, gives_each_element_then_0) {
  const auto bytes = encoded(command({put("a", "1"), put("b", "2")}));
  bop_kv_reader reader;
  ASSERT_EQ(bop_kv_open_command(as_c(bytes), &reader), BOP_OK);
  EXPECT_EQ(reader.left, 2u);
  bop_kv_operation operation;
  ASSERT_EQ(bop_kv_next_operation(&reader, &operation), 1);
  EXPECT_EQ(text(operation.key), "a");
  const bop_kv_reader saved = reader;
  ASSERT_EQ(bop_kv_next_operation(&reader, &operation), 1);
  EXPECT_EQ(text(operation.key), "b");
  EXPECT_EQ(bop_kv_next_operation(&reader, &operation), 0);
  EXPECT_EQ(bop_kv_next_operation(&reader, &operation), 0);
  reader = saved;
  ASSERT_EQ(bop_kv_next_operation(&reader, &operation), 1);
  EXPECT_EQ(text(operation.value), "2");
}

TEST(KvReader, stays_at_its_error) {
  auto bytes = encoded(command({put("a", "1"), put("b", "2")}));
  bytes.push_back(0);
  bop_kv_reader reader;
  ASSERT_EQ(bop_kv_open_command(as_c(bytes), &reader), BOP_OK);
  bop_kv_operation operation;
  ASSERT_EQ(bop_kv_next_operation(&reader, &operation), 1);
  EXPECT_EQ(bop_kv_next_operation(&reader, &operation), BOP_E_PROTOCOL) << "a byte follows";
  EXPECT_EQ(bop_kv_next_operation(&reader, &operation), BOP_E_PROTOCOL);
  EXPECT_EQ(reader.failed, BOP_E_PROTOCOL);
}

TEST(KvReader, refuses_a_message_that_is_cut_anywhere) {
  bop_kv_item there{};
  there.present = 1;
  there.revision = 5;
  there.value = as_c("value");
  const auto bytes = encoded(records({{as_c("key"), there}, {as_c("other"), there}}, 1));
  for (size_t size = 0; size < bytes.size(); ++size) {
    bop_kv_reader reader;
    uint64_t index = 0;
    int32_t more = 0;
    bop_kv_open_records({bytes.data(), size}, &index, &more, &reader);
    bop_kv_record record;
    while (bop_kv_next_record(&reader, &record) == 1) {
    }
    EXPECT_EQ(reader.failed, BOP_E_PROTOCOL) << size;
  }
}

}  // namespace
}  // namespace bop::proto

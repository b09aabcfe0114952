// Commands and queries of kv: refused by name, or read, and then both the C encoders and what serves
// clients encode the same bytes again.
#include <algorithm>
#include <vector>

#include "base/assert.h"
#include "machine/kv/command.h"
#include "proto/kv.h"

namespace {

using namespace bop;
namespace kv = bop::machine::kv;

void check_same(const mem::Buffer& again, Bytes bytes) {
  BOP_ASSERT(std::ranges::equal(again.bytes(), bytes));
}

void check_command(Bytes bytes) {
  std::vector<kv::Operation> operations(1);  // decoding appends
  const bop_status status = kv::decode_command(bytes, operations);
  BOP_ASSERT(status == BOP_OK || status == BOP_E_PROTOCOL || status == BOP_E_TOO_LARGE);
  if (status != BOP_OK) {
    BOP_ASSERT(operations.size() == 1);
    return;
  }
  std::vector<proto::KvOperation> encoded;
  for (size_t i = 1; i < operations.size(); ++i) {
    const kv::Operation& operation = operations[i];
    BOP_ASSERT(proto::check_kv_key(operation.key) && proto::check_kv_value(operation.value));
    encoded.push_back({operation.op, operation.flags, operation.key, operation.value,
                       operation.delta, operation.revision, operation.expected});
  }
  mem::Arena arena;
  check_same(proto::encode_kv_command(arena, encoded), bytes);
}

void check_question(Bytes bytes) {
  kv::Question question;
  if (kv::decode_question(bytes, question) != BOP_OK) return;
  mem::Arena arena;
  switch (question.kind) {
    case BOP_KV_GET:
      return check_same(proto::encode_kv_get(arena, question.keys, question.flags), bytes);
    case BOP_KV_RANGE:
      return check_same(proto::encode_kv_range(
                            arena, {question.flags, question.limit, question.first, question.end}),
                        bytes);
    case BOP_KV_COUNT: return check_same(proto::encode_kv_count(arena), bytes);
  }
}

// ---- the C codec ----

// `encode` takes the buffer, its capacity, and where to put the length.
template <class Encode>
void check_same_in_c(const Encode& encode, Bytes bytes) {
  size_t size = 0;
  BOP_ASSERT_EQ(encode(nullptr, 0, &size), BOP_OK);
  BOP_ASSERT_EQ(size, bytes.size());
  std::vector<uint8_t> again(size);
  BOP_ASSERT_EQ(encode(again.data(), size - 1, &size), BOP_E_TOO_LARGE);
  BOP_ASSERT_EQ(encode(again.data(), size, &size), BOP_OK);
  BOP_ASSERT(std::ranges::equal(again, bytes));
}

void check_command_in_c(Bytes bytes) {
  bop_kv_reader reader;
  bop_kv_operation operation;
  std::vector<bop_kv_operation> operations;
  bop_kv_open_command({bytes.data(), bytes.size()}, &reader);
  while (bop_kv_next_operation(&reader, &operation) == 1) operations.push_back(operation);
  BOP_ASSERT_EQ(bop_kv_next_operation(&reader, &operation), reader.failed);
  if (reader.failed != BOP_OK) return;
  check_same_in_c(
      [&](uint8_t* out, size_t capacity, size_t* size) {
        return bop_kv_encode_command(operations.data(), operations.size(), out, capacity, size);
      },
      bytes);
}

void check_query_in_c(Bytes bytes) {
  bop_kv_query query;
  bop_kv_reader reader;
  std::vector<bop_bytes> keys;
  const int32_t status = bop_kv_open_query({bytes.data(), bytes.size()}, &query, &reader);
  for (bop_bytes key; bop_kv_next_key(&reader, &key) == 1;) keys.push_back(key);
  if (status != BOP_OK || reader.failed != BOP_OK) return;
  BOP_ASSERT_EQ(keys.size(), query.key_count);
  query.keys = keys.data();
  check_same_in_c([&](uint8_t* out, size_t capacity,
                      size_t* size) { return bop_kv_encode_query(&query, out, capacity, size); },
                  bytes);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  check_command({data, size});
  check_question({data, size});
  check_command_in_c({data, size});
  check_query_in_c({data, size});
  return 0;
}

// Commands and questions of kv: refused by name, or read, and then what a client encodes is the same
// bytes again.
#include <algorithm>

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
    encoded.push_back({operation.op, operation.flags, operation.key, operation.value, 0,
                       operation.revision, operation.expected});
    if (operation.op == BOP_KV_ADD) {
      encoded.back().delta = load_le<int64_t>(operation.value.data());
    }
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

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  check_command({data, size});
  check_question({data, size});
  return 0;
}

#include "machine/kv/command.h"

namespace bop::machine::kv {

namespace {

constexpr uint8_t all_flags = BOP_KV_IF_ABSENT | BOP_KV_IF_PRESENT | BOP_KV_IF_REVISION |
                              BOP_KV_IF_VALUE | BOP_KV_RETURN_PREVIOUS | BOP_KV_WANT_EXISTED;
constexpr size_t number_bytes = 8;

bop_status check_key(size_t size) {
  if (size == 0) return BOP_E_PROTOCOL;
  return size > BOP_KV_KEY_MAX ? BOP_E_TOO_LARGE : BOP_OK;
}

bop_status check_value(uint8_t op, size_t size) {
  switch (op) {
    case BOP_KV_DELETE: return size == 0 ? BOP_OK : BOP_E_PROTOCOL;
    case BOP_KV_ADD: return size == number_bytes ? BOP_OK : BOP_E_PROTOCOL;
    default: return size > BOP_KV_VALUE_MAX ? BOP_E_TOO_LARGE : BOP_OK;
  }
}

bop_status decode_operation(Reader& reader, Operation& operation) {
  const uint8_t op = reader.u8();
  operation.flags = reader.u8();
  const uint16_t key_size = reader.u16();
  const uint32_t value_size = reader.u32();
  if (!reader.ok() || op < BOP_KV_PUT || op > BOP_KV_APPEND || (operation.flags & ~all_flags) != 0)
    return BOP_E_PROTOCOL;
  operation.op = static_cast<bop_kv_op>(op);
  if (const bop_status status = check_key(key_size); status != BOP_OK) return status;
  if (const bop_status status = check_value(op, value_size); status != BOP_OK) return status;

  uint32_t expected_size = 0;
  if (operation.has(BOP_KV_IF_REVISION)) operation.revision = reader.u64();
  if (operation.has(BOP_KV_IF_VALUE)) expected_size = reader.u32();
  if (expected_size > BOP_KV_VALUE_MAX) return BOP_E_TOO_LARGE;
  operation.key = reader.bytes(key_size);
  operation.value = reader.bytes(value_size);
  operation.expected = reader.bytes(expected_size);
  return reader.ok() ? BOP_OK : BOP_E_PROTOCOL;
}

bop_status decode_operations(Reader& reader, std::vector<Operation>& operations) {
  const uint8_t version = reader.u8();
  const uint8_t zero = reader.u8();
  const uint16_t count = reader.u16();
  if (!reader.ok() || version != BOP_KV_VERSION || zero != 0 || count == 0) return BOP_E_PROTOCOL;
  if (count > BOP_KV_OPERATIONS_MAX) return BOP_E_TOO_LARGE;
  for (uint16_t i = 0; i < count; ++i) {
    Operation operation;
    if (const bop_status status = decode_operation(reader, operation); status != BOP_OK)
      return status;
    operations.push_back(operation);
  }
  return reader.complete() ? BOP_OK : BOP_E_PROTOCOL;
}

bop_status decode_get(Reader& reader, Question& question) {
  const uint16_t count = reader.u16();
  if (!reader.ok() || count == 0 || (question.flags & ~BOP_KV_KEYS_ONLY) != 0)
    return BOP_E_PROTOCOL;
  if (count > BOP_KV_OPERATIONS_MAX) return BOP_E_TOO_LARGE;
  for (uint16_t i = 0; i < count; ++i) {
    const uint16_t size = reader.u16();
    if (!reader.ok()) return BOP_E_PROTOCOL;
    if (const bop_status status = check_key(size); status != BOP_OK) return status;
    question.keys.push_back(reader.bytes(size));
    if (!reader.ok()) return BOP_E_PROTOCOL;
  }
  return BOP_OK;
}

bop_status decode_range(Reader& reader, Question& question) {
  question.limit = reader.u32();
  const uint16_t first_size = reader.u16();
  const uint16_t end_size = reader.u16();
  if (!reader.ok() || question.limit == 0) return BOP_E_PROTOCOL;
  if ((question.flags & ~(BOP_KV_KEYS_ONLY | BOP_KV_PREFIX | BOP_KV_AFTER)) != 0)
    return BOP_E_PROTOCOL;
  if (question.limit > BOP_KV_RANGE_MAX || first_size > BOP_KV_KEY_MAX || end_size > BOP_KV_KEY_MAX)
    return BOP_E_TOO_LARGE;
  question.first = reader.bytes(first_size);
  question.end = reader.bytes(end_size);
  if (question.has(BOP_KV_PREFIX) && end_size != 0) return BOP_E_PROTOCOL;
  return BOP_OK;
}

}  // namespace

bop_status decode_command(Bytes command, std::vector<Operation>& operations) {
  const size_t before = operations.size();
  Reader reader(command);
  const bop_status status = decode_operations(reader, operations);
  if (status != BOP_OK) operations.resize(before);
  return status;
}

bop_status decode_question(Bytes bytes, Question& question) {
  question.keys.clear();
  Reader reader(bytes);
  const uint8_t version = reader.u8();
  const uint8_t kind = reader.u8();
  question.flags = reader.u16();
  if (!reader.ok() || version != BOP_KV_VERSION) return BOP_E_PROTOCOL;
  question.kind = static_cast<bop_kv_question>(kind);
  bop_status status = BOP_E_PROTOCOL;
  if (kind == BOP_KV_GET) status = decode_get(reader, question);
  if (kind == BOP_KV_RANGE) status = decode_range(reader, question);
  if (kind == BOP_KV_COUNT && question.flags == 0) status = BOP_OK;
  if (status != BOP_OK) return status;
  return reader.complete() ? BOP_OK : BOP_E_PROTOCOL;
}

}  // namespace bop::machine::kv

#include "machine/kv/command.h"

namespace bop::machine::kv {

namespace {

Operation operation_of(const bop_kv_operation& operation) {
  return {static_cast<bop_kv_op>(operation.op),
          operation.flags,
          bytes_of(operation.key),
          bytes_of(operation.value),
          operation.delta,
          operation.revision,
          bytes_of(operation.expected)};
}

}  // namespace

bop_status decode_command(Bytes command, std::vector<Operation>& operations) {
  const size_t before = operations.size();
  bop_kv_reader reader;
  bop_kv_operation operation;
  bop_kv_open_command(as_c(command), &reader);
  while (bop_kv_next_operation(&reader, &operation) == 1)
    operations.push_back(operation_of(operation));
  if (reader.failed != BOP_OK) operations.resize(before);
  return static_cast<bop_status>(reader.failed);
}

bop_status decode_question(Bytes bytes, Question& question) {
  question.keys.clear();
  bop_kv_query query;
  bop_kv_reader keys;
  bop_kv_open_query(as_c(bytes), &query, &keys);
  for (bop_bytes key; bop_kv_next_key(&keys, &key) == 1;) question.keys.push_back(bytes_of(key));
  question.kind = static_cast<bop_kv_query_kind>(query.kind);
  question.flags = query.flags;
  question.limit = query.limit;
  question.first = bytes_of(query.first);
  question.end = bytes_of(query.end);
  return static_cast<bop_status>(keys.failed);
}

}  // namespace bop::machine::kv

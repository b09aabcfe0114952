// Decoded commands and queries. Keys and values point into the encoded bytes. Decoding uses the C functions
// of bop/kv.h.
#pragma once

#include <vector>

#include "base/bytes.h"
#include "bop/kv.h"
#include "proto/kv_format.h"

namespace bop::machine::kv {

using proto::kv_format::as_c;
using proto::kv_format::bytes_of;

struct Operation {
  bop_kv_op op{};
  uint8_t flags = 0;  // a set of bop_kv_flag
  Bytes key;
  Bytes value;            // of PUT and APPEND
  int64_t delta = 0;      // of ADD
  uint64_t revision = 0;  // with BOP_KV_IF_REVISION: the revision that the record must have
  Bytes expected;         // with BOP_KV_IF_VALUE: the value that the record must have

  bool has(bop_kv_flag flag) const { return (flags & flag) != 0; }
  // Whether its outcome or reply depends on the previous state of the record.
  bool needs_before() const { return op != BOP_KV_PUT || flags != 0; }
  bool is_conditional() const {
    return (flags &
            (BOP_KV_IF_ABSENT | BOP_KV_IF_PRESENT | BOP_KV_IF_REVISION | BOP_KV_IF_VALUE)) != 0;
  }
};

// Appends the command's operations. On an error, BOP_E_PROTOCOL or BOP_E_TOO_LARGE, nothing is appended.
bop_status decode_command(Bytes command, std::vector<Operation>& operations);

// A decoded query.
struct Question {
  bop_kv_query_kind kind{};
  uint16_t flags = 0;       // a set of bop_kv_query_flag
  std::vector<Bytes> keys;  // of GET
  uint32_t limit = 0;       // of RANGE: the maximal number of records
  Bytes first;              // of RANGE: the first key; with PREFIX: the prefix
  Bytes end;                // of RANGE: the key after the last one; empty: no bound

  bool has(bop_kv_query_flag flag) const { return (flags & flag) != 0; }
};

bop_status decode_question(Bytes bytes, Question& question);

}  // namespace bop::machine::kv

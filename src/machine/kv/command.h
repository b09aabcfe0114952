// Commands and queries as the machine works on them: all their parts at once, in place, decoded by
// the C functions of bop/kv.h.
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
  uint8_t flags = 0;
  Bytes key;
  Bytes value;            // of PUT and APPEND
  int64_t delta = 0;      // of ADD
  uint64_t revision = 0;  // that the record must have, with BOP_KV_IF_REVISION
  Bytes expected;         // value that it must have, with BOP_KV_IF_VALUE

  bool has(bop_kv_flag flag) const { return (flags & flag) != 0; }
  // Whether its outcome depends on the record as it was before.
  bool needs_before() const { return op != BOP_KV_PUT || flags != 0; }
  bool is_conditional() const {
    return (flags &
            (BOP_KV_IF_ABSENT | BOP_KV_IF_PRESENT | BOP_KV_IF_REVISION | BOP_KV_IF_VALUE)) != 0;
  }
};

// Appends the command's operations, which point into its bytes. BOP_OK, BOP_E_PROTOCOL or
// BOP_E_TOO_LARGE; then nothing is appended.
bop_status decode_command(Bytes command, std::vector<Operation>& operations);

struct Question {
  bop_kv_query_kind kind{};
  uint16_t flags = 0;
  std::vector<Bytes> keys;  // of GET
  uint32_t limit = 0;       // of RANGE: records at most
  Bytes first;              // of RANGE: keys from this one on, or that begin with it
  Bytes end;                // of RANGE: keys below this one; empty: to the last

  bool has(bop_kv_query_flag flag) const { return (flags & flag) != 0; }
};

bop_status decode_question(Bytes bytes, Question& question);

}  // namespace bop::machine::kv

// The commands, queries and answers of the machine "kv", from the client's side, for C++: what
// include/bop/kv.h defines, with its bytes (kv_format.h) and decoders.
//
// Encoders write into an arena and allocate nothing of their own. They encode what they are given:
// limits (key, value, number of operations) are the caller's to check first, with check_kv_*.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/result.h"
#include "bop/kv.h"
#include "mem/buffer.h"

namespace bop::proto {

struct KvOperation {
  bop_kv_op op = BOP_KV_PUT;
  uint8_t flags = 0;  // of bop_kv_flag
  Bytes key;
  Bytes value;            // PUT and APPEND
  int64_t delta = 0;      // ADD
  uint64_t revision = 0;  // IF_REVISION
  Bytes expected;         // IF_VALUE
};

struct KvRange {
  uint16_t flags = 0;  // of bop_kv_query_flag
  uint32_t limit = 1000;
  Bytes first;  // with PREFIX: the prefix
  Bytes end;    // empty: no bound
};

// INVALID_ARGUMENT or TOO_LARGE, with words that name the limit.
Status check_kv_key(Bytes key);
Status check_kv_value(Bytes value);

// The first key after all that begin with `prefix`; empty: there is none.
std::string kv_prefix_end(std::string_view prefix);

mem::Buffer encode_kv_command(mem::Arena& arena, std::span<const KvOperation> operations);
mem::Buffer encode_kv_get(mem::Arena& arena, std::span<const Bytes> keys, uint16_t flags = 0);
mem::Buffer encode_kv_range(mem::Arena& arena, const KvRange& range);
mem::Buffer encode_kv_count(mem::Arena& arena);

struct KvItem {
  bool present = false;
  uint64_t revision = 0;
  Bytes value;
};

// The answer to a command or to GET: a head, then an item an operation or key. Reading an answer that
// is not of this form gives ok() false and no item.
class KvItems {
 public:
  explicit KvItems(Bytes body);
  uint64_t position() const { return position_; }  // command: its revision. GET: the index applied
  uint16_t count() const { return count_; }
  bool next(KvItem& item);
  bool ok() const { return reader_.failed == BOP_OK; }

 private:
  bop_kv_reader reader_{};
  uint64_t position_ = 0;
  uint16_t count_ = 0;
};

// The answer to RANGE.
class KvRecords {
 public:
  explicit KvRecords(Bytes body);
  uint64_t applied() const { return applied_; }
  bool more() const { return more_; }
  uint32_t count() const { return count_; }
  bool next(Bytes& key, KvItem& item);
  bool ok() const { return reader_.failed == BOP_OK; }

 private:
  bop_kv_reader reader_{};
  uint64_t applied_ = 0;
  uint32_t count_ = 0;
  bool more_ = false;
};

// The answer to COUNT. PROTOCOL when it is not of that form.
Result<uint64_t> decode_kv_count(Bytes body);

}  // namespace bop::proto

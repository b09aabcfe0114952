// C++ encoders and decoders for the client side of the machine "kv": the commands, queries and replies of
// include/bop/kv.h, in the layout of kv_format.h.
//
// Encoders write into an arena and allocate nothing of their own. They do not check limits (key, value,
// number of operations): the caller does, with check_kv_*.
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
  uint8_t flags = 0;  // a set of bop_kv_flag
  Bytes key;
  Bytes value;            // of PUT and APPEND
  int64_t delta = 0;      // of ADD
  uint64_t revision = 0;  // with IF_REVISION: the revision that the record must have
  Bytes expected;         // with IF_VALUE: the value that the record must have
};

struct KvRange {
  uint16_t flags = 0;     // a set of bop_kv_query_flag
  uint32_t limit = 1000;  // of records
  Bytes first;            // the first key; with PREFIX: the prefix
  Bytes end;              // the key after the last one; empty: no bound
};

// INVALID_ARGUMENT or TOO_LARGE, with a text that names the limit.
Status check_kv_key(Bytes key);
Status check_kv_value(Bytes value);

// The first key after all keys that begin with `prefix`; empty: there is none.
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

// Reads the reply to a command or a GET: a head, then an item for each operation or key. For malformed
// bytes ok() is false and next() gives no item.
class KvItems {
 public:
  explicit KvItems(Bytes body);
  uint64_t position() const { return position_; }  // command: its revision. GET: the applied index
  uint16_t count() const { return count_; }
  bool next(KvItem& item);
  bool ok() const { return reader_.failed == BOP_OK; }

 private:
  bop_kv_reader reader_{};
  uint64_t position_ = 0;
  uint16_t count_ = 0;
};

// Reads the reply to a RANGE; malformed bytes as in KvItems.
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

// The number of records in the reply to a COUNT. PROTOCOL: it is malformed.
Result<uint64_t> decode_kv_count(Bytes body);

}  // namespace bop::proto

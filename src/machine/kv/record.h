// One record of a memtable: its newest state there and, once it is known, the record beneath it.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "base/bytes.h"
#include "base/checksum.h"
#include "machine/kv/totals.h"

namespace bop::machine::kv {

// Unsigned bytes, a prefix before what it begins.
inline int compare_keys(Bytes a, Bytes b) {
  const size_t shared = std::min(a.size(), b.size());
  const int order = shared == 0 ? 0 : std::memcmp(a.data(), b.data(), shared);
  if (order != 0) return order;
  return a.size() < b.size() ? -1 : a.size() > b.size() ? 1 : 0;
}
inline bool equal_keys(Bytes a, Bytes b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size()) == 0;
}

// The first 8 bytes from `skip` on, so that most keys compare as one number.
inline uint64_t key_prefix(Bytes key, size_t skip = 0) {
  uint8_t bytes[8] = {};
  if (key.size() > skip)
    std::memcpy(bytes, key.data() + skip, std::min<size_t>(8, key.size() - skip));
  return __builtin_bswap64(load_le<uint64_t>(bytes));
}

// The record of a key in the state beneath a memtable. Unknown until somebody had to look.
enum class StoredVersion : uint8_t { unknown, absent, present };

// The head of an allocation: key and value follow, the value with room to grow to `capacity`.
struct Record {
  uint64_t revision;
  Hash128 hash;         // zero when not present
  Hash128 stored_hash;  // of the record beneath, zero unless stored version is present
  uint32_t ordinal;     // the how-manieth key that its memtable touched
  uint32_t value_size;
  uint32_t capacity;
  uint16_t key_size;
  bool present;  // false: deleted
  StoredVersion stored_version;

  uint8_t* data() { return reinterpret_cast<uint8_t*>(this + 1); }
  const uint8_t* data() const { return reinterpret_cast<const uint8_t*>(this + 1); }
  Bytes key() const { return {data(), key_size}; }
  Bytes value() const { return {data() + key_size, value_size}; }

  Totals adds() const { return totals_of(present, hash); }
  Totals stored_adds() const {
    return totals_of(stored_version == StoredVersion::present, stored_hash);
  }
};

// Brings near its head, key and a usual value. Inlined always: see key_index.h.
[[gnu::always_inline]] inline void prefetch(const Record& record) {
  constexpr size_t usual_bytes = 384;
  const auto* bytes = reinterpret_cast<const uint8_t*>(&record);
  for (size_t at = 0; at < usual_bytes; at += 64) __builtin_prefetch(bytes + at, 1);
}

}  // namespace bop::machine::kv

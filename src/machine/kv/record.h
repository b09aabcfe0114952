// A record of a memtable: the newest state of a key and, when known, its stored version.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "base/bytes.h"
#include "base/checksum.h"
#include "machine/kv/totals.h"

namespace bop::machine::kv {

// Compares keys as sequences of unsigned bytes; a proper prefix is less. Returns a negative number, 0 or
// a positive number.
inline int compare_keys(Bytes a, Bytes b) {
  const size_t shared = std::min(a.size(), b.size());
  const int order = shared == 0 ? 0 : std::memcmp(a.data(), b.data(), shared);
  if (order != 0) return order;
  return a.size() < b.size() ? -1 : a.size() > b.size() ? 1 : 0;
}
inline bool equal_keys(Bytes a, Bytes b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size()) == 0;
}

// The 8 bytes from `skip` on as a number, by which most keys can be compared.
inline uint64_t key_prefix(Bytes key, size_t skip = 0) {
  uint8_t bytes[8] = {};
  if (key.size() > skip)
    std::memcpy(bytes, key.data() + skip, std::min<size_t>(8, key.size() - skip));
  return __builtin_bswap64(load_le<uint64_t>(bytes));
}

// What the state beneath a memtable has for a key; unknown until it is looked up.
enum class StoredVersion : uint8_t { unknown, absent, present };

// The header of an allocation. The key follows it, then `capacity` bytes for the value.
struct Record {
  uint64_t revision;    // index of the entry that wrote or deleted it
  Hash128 hash;         // record_hash(); zero if deleted
  Hash128 stored_hash;  // of its stored version; zero unless that is present
  uint32_t ordinal;     // number of keys that the memtable touched before this one
  uint32_t value_size;  // bytes; at most capacity
  uint32_t capacity;    // bytes
  uint16_t key_size;    // bytes
  bool present;         // false: deleted
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

// Prefetches the header, the key and a value of usual size. Always inlined: see key_index.h.
[[gnu::always_inline]] inline void prefetch(const Record& record) {
  constexpr size_t usual_bytes = 384;
  const auto* bytes = reinterpret_cast<const uint8_t*>(&record);
  for (size_t at = 0; at < usual_bytes; at += 64) __builtin_prefetch(bytes + at, 1);
}

}  // namespace bop::machine::kv

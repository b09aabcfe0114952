// A record as a store keeps it: | 8 revision | 8 checksum | value |. The checksum is the lower half of record_hash(),
// which covers the key too: whoever verifies a record has its hash for the totals, and a flush writes one that is
// known.
#pragma once

#include <fmt/format.h>

#include <optional>
#include <string>

#include "bop/kv.h"
#include "machine/kv/seeded_bugs.h"
#include "machine/kv/totals.h"

namespace bop::machine::kv {

inline constexpr size_t stored_head_bytes = 16;
inline constexpr size_t stored_max_bytes = stored_head_bytes + BOP_KV_VALUE_MAX;

// A verified record; `value` points into the store.
struct Stored {
  uint64_t revision = 0;
  Hash128 hash;  // record_hash()
  Bytes value;
};

inline void put_stored_head(uint8_t* to, uint64_t revision, const Hash128& hash) {
  store_le<uint64_t>(to, revision);
  store_le<uint64_t>(to + 8, hash.low);
}

// nullopt: it is not what was written for a key with that hash64().
inline std::optional<Stored> parse_stored(uint64_t key_hash, Bytes bytes) {
  if (bytes.size() < stored_head_bytes || bytes.size() > stored_max_bytes) return {};
  Stored stored;
  stored.revision = load_le<uint64_t>(bytes.data());
  stored.value = bytes.subspan(stored_head_bytes);
  stored.hash = record_hash(key_hash, stored.revision, stored.value);
  if (stored.hash.low != load_le<uint64_t>(bytes.data() + 8) && !seeded(Bug::checksum_not_verified))
    return {};
  return stored;
}

inline std::string hex(uint64_t number) { return fmt::format("{:016x}", number); }

}  // namespace bop::machine::kv

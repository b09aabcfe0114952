// Totals of the state: the number of records and the sum of their hashes. They are updated with each change,
// and replicas are compared by them at equal indexes.
//
// A sum depends neither on the order of changes nor on which records are in memory. The two halves of the
// 128-bit hashes are summed separately, modulo 2^64.
#pragma once

#include <cstdint>

#include "base/bytes.h"
#include "base/checksum.h"

namespace bop::machine::kv {

struct Totals {
  uint64_t low = 0;      // sum of the hashes' lower halves
  uint64_t high = 0;     // sum of their upper halves
  uint64_t records = 0;  // number of records; a difference may wrap below 0

  Totals& operator+=(const Totals& other) {
    low += other.low;
    high += other.high;
    records += other.records;
    return *this;
  }
  Totals& operator-=(const Totals& other) {
    low -= other.low;
    high -= other.high;
    records -= other.records;
    return *this;
  }
  friend Totals operator+(Totals a, const Totals& b) { return a += b; }
  friend Totals operator-(Totals a, const Totals& b) { return a -= b; }
  friend bool operator==(const Totals&, const Totals&) = default;
};

// The hash of one record; equal on every node and in every version. `key_hash` is hash64(key).
inline Hash128 record_hash(uint64_t key_hash, uint64_t revision, Bytes value) {
  const Hash128 content = hash128(value);
  uint8_t parts[32];
  store_le(parts, key_hash);
  store_le(parts + 8, revision);
  store_le(parts + 16, content.low);
  store_le(parts + 24, content.high);
  return hash128(Bytes(parts));
}
inline Hash128 record_hash(Bytes key, uint64_t revision, Bytes value) {
  return record_hash(hash64(key), revision, value);
}

// What a record adds to the totals.
inline Totals totals_of(bool present, const Hash128& hash) {
  if (!present) return {};
  return {hash.low, hash.high, 1};
}

}  // namespace bop::machine::kv

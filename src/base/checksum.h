// Checksums and hashes: CRC32C (ISA-L) for bytes on disk and on the wire, XXH3 for hashes that must
// be equal on every node and in every version. Both depend on nothing but their input.
#pragma once

#include <cstdint>
#include <memory>

#include "base/bytes.h"

namespace bop {

// CRC-32C (Castagnoli, RFC 3720 appendix B.4) as the standard defines it, "123456789" gives
// 0xE3069283. `seed` continues a checksum: crc32c(b, crc32c(a)) == crc32c(a + b).
uint32_t crc32c(Bytes bytes, uint32_t seed = 0);

struct Hash128 {
  uint64_t low = 0;
  uint64_t high = 0;
  friend bool operator==(const Hash128&, const Hash128&) = default;
};

uint64_t hash64(Bytes bytes, uint64_t seed = 0);
Hash128 hash128(Bytes bytes, uint64_t seed = 0);

// hash128() of bytes that come in pieces.
class Hasher128 {
 public:
  Hasher128();
  ~Hasher128();
  Hasher128(Hasher128&&) noexcept;
  Hasher128& operator=(Hasher128&&) noexcept;
  void add(Bytes bytes);
  Hash128 hash() const;  // of all added so far

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace bop

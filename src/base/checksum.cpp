#include "base/checksum.h"

#include <isa-l/crc.h>

// Compiled in: a call of the library costs as much as the hash of a short key.
#define XXH_INLINE_ALL
#include <xxhash.h>

namespace bop {

uint32_t crc32c(Bytes bytes, uint32_t seed) {
  // crc32_iscsi leaves both inversions to its caller.
  return ~crc32_iscsi(const_cast<uint8_t*>(bytes.data()), static_cast<int>(bytes.size()), ~seed);
}

uint64_t hash64(Bytes bytes, uint64_t seed) {
  return XXH3_64bits_withSeed(bytes.data(), bytes.size(), seed);
}

Hash128 hash128(Bytes bytes, uint64_t seed) {
  const XXH128_hash_t hash = XXH3_128bits_withSeed(bytes.data(), bytes.size(), seed);
  return {hash.low64, hash.high64};
}

}  // namespace bop

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

struct Hasher128::State {
  XXH3_state_t xxh3;
};

Hasher128::Hasher128() : state_(std::make_unique<State>()) { XXH3_128bits_reset(&state_->xxh3); }
Hasher128::~Hasher128() = default;
Hasher128::Hasher128(Hasher128&&) noexcept = default;
Hasher128& Hasher128::operator=(Hasher128&&) noexcept = default;

void Hasher128::add(Bytes bytes) { XXH3_128bits_update(&state_->xxh3, bytes.data(), bytes.size()); }

Hash128 Hasher128::hash() const {
  const XXH128_hash_t hash = XXH3_128bits_digest(&state_->xxh3);
  return {hash.low64, hash.high64};
}

}  // namespace bop

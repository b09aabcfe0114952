// Any bytes are a manifest or an error with words; what is read is written back the same. The checksum is put right, or
// no input would get past it.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/assert.h"
#include "snapshot/manifest.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace bop;
  std::vector<uint8_t> bytes(data, data + size);
  if (size >= 4) store_le(bytes.data() + size - 4, crc32c(Bytes(bytes).first(size - 4)));
  const auto decoded = snapshot::decode(bytes);
  if (!decoded) {
    BOP_ASSERT(!decoded.error().detail.empty());
    return 0;
  }
  BOP_ASSERT(snapshot::check(*decoded).has_value());
  BOP_ASSERT(std::ranges::equal(snapshot::encode(*decoded), bytes));
  return 0;
}

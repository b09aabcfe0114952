// Any bytes are a checkpoint or an error with words; what is read is written back the same.
#include "group/checkpoint.h"

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/assert.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace bop;
  const auto decoded = group::decode_checkpoint({.term = 2, .index = 100}, {data, size});
  if (!decoded) {
    BOP_ASSERT(!decoded.error().detail.empty());
    return 0;
  }
  BOP_ASSERT(group::encode(*decoded) == std::vector<uint8_t>(data, data + size));
  return 0;
}

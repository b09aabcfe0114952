// Any bytes are a configuration or an error with words; what is read is written back the same.
#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "base/assert.h"
#include "raft/configuration.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto decoded = bop::raft::decode_configuration({data, size});
  if (!decoded) {
    BOP_ASSERT(!decoded.error().detail.empty());
    return 0;
  }
  const bop::mem::Buffer again = bop::raft::encode_configuration(*decoded);
  BOP_ASSERT(std::ranges::equal(again.bytes(), bop::Bytes(data, size)));
  return 0;
}

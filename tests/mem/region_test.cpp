#include "mem/region.h"

#include <gtest/gtest.h>

#include <cstring>

namespace bop::mem {
namespace {

TEST(Region, pieces_of_every_size_are_aligned_and_do_not_overlap) {
  Region region;
  struct Piece {
    uint8_t* bytes;
    size_t size;
  };
  std::vector<Piece> pieces;
  // Past several blocks of the largest kind, with some pieces larger than those.
  for (size_t i = 0; i < 20000; ++i) {
    const size_t size = i % 5000 == 4999 ? 5 << 20 : 1 + i * 37 % 1500;
    auto* bytes = static_cast<uint8_t*>(region.allocate(size));
    ASSERT_EQ(reinterpret_cast<uintptr_t>(bytes) % 16, 0u);
    std::memset(bytes, static_cast<int>(i % 251), size);
    pieces.push_back({bytes, size});
  }
  for (size_t i = 0; i < pieces.size(); ++i)
    for (size_t at = 0; at < pieces[i].size; ++at) ASSERT_EQ(pieces[i].bytes[at], i % 251) << i;
}

}  // namespace
}  // namespace bop::mem

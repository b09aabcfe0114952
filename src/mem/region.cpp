#include "mem/region.h"

#ifdef __linux__
#include <sys/mman.h>
#endif

#include <algorithm>

#include "mem/allocate.h"

namespace bop::mem {

namespace {

#if BOP_SNMALLOC
constexpr size_t first_block = 64 << 10;
constexpr size_t huge_page = 2 << 20;
#else
// Under the sanitizers each piece is an allocation of its own, so that they find accesses beyond it.
constexpr size_t first_block = 0;
constexpr size_t huge_page = 0;
#endif

}  // namespace

Region::~Region() {
  for (void* block : blocks_) release(block);
}

void* Region::allocate(size_t size) {
  size = (size + 15) / 16 * 16;
  if (size <= left_) {
    left_ -= size;
    free_ += size;
    return free_ - size;
  }
  // Blocks double in size. A piece that could leave much of a block unused gets its own.
  const size_t block = std::max(next_block_, first_block);
  if (size > block / 8) return add_block(size);
  free_ = static_cast<uint8_t*>(add_block(block));
  left_ = block;
  next_block_ = std::min(block * 2, huge_page);
  return allocate(size);
}

void* Region::add_block(size_t size) {
  const bool huge = huge_page != 0 && size == huge_page;
  blocks_.push_back(huge ? allocate_aligned(size, huge_page) : mem::allocate(size));
#ifdef __linux__
  // Only advice: it is not an error when the kernel does not follow it.
  if (huge) madvise(blocks_.back(), size, MADV_HUGEPAGE);
#endif
  return blocks_.back();
}

}  // namespace bop::mem

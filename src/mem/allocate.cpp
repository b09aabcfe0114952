#include "mem/allocate.h"

#include "base/assert.h"

#if BOP_SNMALLOC
#include <snmalloc/snmalloc.h>
#else
#include <cstdlib>
#endif

namespace bop::mem {

#if BOP_SNMALLOC

void* allocate(size_t size) {
  void* memory = snmalloc::alloc(size);
  BOP_ASSERT(memory != nullptr);
  return memory;
}

void* allocate_aligned(size_t size, size_t alignment) {
  void* memory = snmalloc::alloc(snmalloc::aligned_size(alignment, size));
  BOP_ASSERT(memory != nullptr);
  return memory;
}

void release(void* memory) { snmalloc::dealloc(memory); }

#else

void* allocate(size_t size) {
  void* memory = std::malloc(size > 0 ? size : 1);
  BOP_ASSERT(memory != nullptr);
  return memory;
}

void* allocate_aligned(size_t size, size_t alignment) {
  // aligned_alloc wants a multiple of the alignment.
  void* memory = std::aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);
  BOP_ASSERT(memory != nullptr);
  return memory;
}

void release(void* memory) { std::free(memory); }

#endif

}  // namespace bop::mem

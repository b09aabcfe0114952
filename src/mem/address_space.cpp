#include "mem/address_space.h"

#ifdef __linux__
#include <sys/mman.h>
#endif

namespace bop::mem {

#ifdef __linux__

namespace {

bool can_map(uint64_t bytes, int protection) {
  void* space = mmap(nullptr, bytes, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (space == MAP_FAILED) return false;
  munmap(space, bytes);
  return true;
}

}  // namespace

bool address_space_has(uint64_t bytes) { return can_map(bytes, PROT_NONE); }
bool memory_has(uint64_t bytes) { return can_map(bytes, PROT_READ | PROT_WRITE); }

#else

bool address_space_has(uint64_t) { return true; }
bool memory_has(uint64_t) { return true; }

#endif

}  // namespace bop::mem

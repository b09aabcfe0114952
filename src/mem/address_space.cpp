#include "mem/address_space.h"

#include <cstdint>
#include <fstream>

#ifdef __linux__
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>
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

uint64_t address_space_left() {
  rlimit limit{};
  if (getrlimit(RLIMIT_AS, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return UINT64_MAX;
  uint64_t pages = 0;
  std::ifstream("/proc/self/statm") >> pages;  // the first number: mapped, in pages
  const uint64_t used = pages * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  return limit.rlim_cur > used ? limit.rlim_cur - used : 0;
}

#else

uint64_t address_space_left() { return UINT64_MAX; }
bool address_space_has(uint64_t) { return true; }
bool memory_has(uint64_t) { return true; }

#endif

}  // namespace bop::mem

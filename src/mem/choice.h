// Chooses this process's allocator, at its first allocation and for good, and calls it. Only for mem's
// own .cpp files; others include allocate.h.
//
// snmalloc reserves 256 GiB of address space for its page map alone. Where the process may not reserve
// that much (ulimit -v, strict overcommit, user-mode Linux, valgrind) it would abort, so the system's
// allocator is used instead.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>

#if BOP_SNMALLOC
// snmalloc takes its platform from this macro, which its headers below must find.
#include <snmalloc/aal/aal.h>
#include <snmalloc/mitigations/mitigations_all.h>
#include <snmalloc/pal/pal_concept.h>
#include <snmalloc/pal/pal_consts.h>
#include <snmalloc/pal/pal_linux.h>

#include <atomic>

#include "mem/free_ranges.h"

namespace bop::mem::choice {

extern FreeRanges free_ranges;

// Linux, but that memory which snmalloc does not use is given back later (free_ranges.h). snmalloc's own way is
// MADV_FREE, after which pages count as resident until the whole system is short of memory.
class Platform : public snmalloc::PALLinux {
 public:
  static void notify_not_using(void* memory, size_t size) noexcept {
    if constexpr (snmalloc::mitigations(snmalloc::pal_enforce_access)) {
      PALLinux::notify_not_using(memory, size);
    } else {
      free_ranges.add(memory, size);
    }
  }
  template <snmalloc::ZeroMem zero_memory>
  static bool notify_using(void* memory, size_t size) noexcept {
    free_ranges.remove(memory, size);
    return PALLinux::notify_using<zero_memory>(memory, size);
  }
};

}  // namespace bop::mem::choice

#define SNMALLOC_MEMORY_PROVIDER bop::mem::choice::Platform
#include <snmalloc/snmalloc.h>
#endif

namespace bop::mem::choice {

#if BOP_SNMALLOC

enum class Allocator : uint8_t { undecided, snmalloc, system };

extern std::atomic<Allocator> chosen;
Allocator decide();  // any thread

inline bool on_snmalloc() {
  const Allocator now = chosen.load(std::memory_order_relaxed);
  if (now == Allocator::snmalloc) [[likely]]
    return true;
  return now == Allocator::undecided && decide() == Allocator::snmalloc;
}

#else

inline constexpr bool on_snmalloc() { return false; }

#endif

// nullptr: memory is exhausted.
inline void* allocate(size_t size) {
#if BOP_SNMALLOC
  if (on_snmalloc()) [[likely]]
    return snmalloc::alloc(size);
#endif
  return std::malloc(size > 0 ? size : 1);
}

// `alignment` is a power of two. nullptr: memory is exhausted.
inline void* allocate_aligned(size_t size, size_t alignment) {
#if BOP_SNMALLOC
  if (on_snmalloc()) [[likely]]
    return snmalloc::alloc(snmalloc::aligned_size(alignment, size));
#endif
  // The size that aligned_alloc takes must be a multiple of the alignment.
  return std::aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);
}

inline void release(void* memory) {
#if BOP_SNMALLOC
  if (on_snmalloc()) [[likely]]
    return snmalloc::dealloc(memory);
#endif
  std::free(memory);
}

}  // namespace bop::mem::choice

// Which allocator this process uses, decided at its first allocation and kept to its end, and the calls
// that follow the decision. For mem's own .cpp files: allocate.h is what others include.
//
// snmalloc reserves 256 GiB of address space for its page map alone. Where the process may not have
// that (ulimit -v, strict overcommit, user-mode Linux, valgrind) it would abort, so there everything
// comes from the system's allocator.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>

#if BOP_SNMALLOC
#include <snmalloc/snmalloc.h>

#include <atomic>
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

// nullptr: there is no memory left.
inline void* allocate(size_t size) {
#if BOP_SNMALLOC
  if (on_snmalloc()) [[likely]]
    return snmalloc::alloc(size);
#endif
  return std::malloc(size > 0 ? size : 1);
}

// `alignment` is a power of two. nullptr: there is no memory left.
inline void* allocate_aligned(size_t size, size_t alignment) {
#if BOP_SNMALLOC
  if (on_snmalloc()) [[likely]]
    return snmalloc::alloc(snmalloc::aligned_size(alignment, size));
#endif
  // aligned_alloc wants a multiple of the alignment.
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

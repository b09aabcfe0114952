// The process's allocator: snmalloc, or the system's under the sanitizers, which snmalloc would
// blind. The one place that names it. Memory exhausted is not an error that bop can handle halfway
// through a turn: it prints and aborts.
#pragma once

#include <cstddef>

namespace bop::mem {

void* allocate(size_t size);                            // aligned to 16
void* allocate_aligned(size_t size, size_t alignment);  // for direct I/O; a power of two
void release(void* memory);                             // of either; nullptr is allowed

}  // namespace bop::mem

// The process's allocator: snmalloc, or the system's under the sanitizers, which snmalloc would blind,
// and where the process may not have the address space that snmalloc reserves. When memory is exhausted,
// these print and abort: bop cannot undo half a turn.
#pragma once

#include <cstddef>

namespace bop::mem {

void* allocate(size_t size);                            // aligned to 16
void* allocate_aligned(size_t size, size_t alignment);  // for direct I/O; a power of two
void release(void* memory);                             // of either; nullptr is allowed

// Whether the system's allocator is used for lack of address space: slower, worth a warning.
bool address_space_is_short();

}  // namespace bop::mem

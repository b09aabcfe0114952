// The process's allocator: snmalloc, or the system's under the sanitizers, which snmalloc would blind,
// and where the process may not have the address space that snmalloc reserves. When memory is exhausted,
// these print and abort: bop cannot undo half a turn.
#pragma once

#include <cstddef>

namespace bop::mem {

void* allocate(size_t size);                            // aligned to 16
void* allocate_aligned(size_t size, size_t alignment);  // for direct I/O; a power of two
void release(void* memory);                             // of either; nullptr is allowed

// Both do nothing with the system's allocator, which has its own policy.
//
// Gives back what the calling thread keeps for its next allocations. Every few seconds on a thread that frees much.
void release_thread_cache();
// Gives memory that no thread has used since the previous call back to the system. Any thread; it takes some 10 ms for
// 256 MiB, which is the most that one call gives back. True: there is more.
bool release_unused();

// Whether the system's allocator is used for lack of address space: slower, worth a warning.
bool address_space_is_short();

}  // namespace bop::mem

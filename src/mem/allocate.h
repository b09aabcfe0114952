// The process's allocator: snmalloc; or the system's under the sanitizers, which cannot check snmalloc's
// memory, and where the process may not have the address space that snmalloc reserves. When memory is
// exhausted, these functions print a message and abort: bop cannot undo half a turn.
#pragma once

#include <cstddef>

namespace bop::mem {

void* allocate(size_t size);                            // aligned to 16
void* allocate_aligned(size_t size, size_t alignment);  // for direct I/O; a power of two
void release(void* memory);                             // of either; nullptr is allowed

// These two do nothing with the system's allocator, which has its own policy.
//
// Returns the calling thread's cache of free memory to snmalloc. For threads that free much memory, every few
// seconds.
void release_thread_cache();
// Returns memory that no thread has used since the previous call to the system, at most 256 MiB, which takes
// some 10 ms. True: there is more. Any thread.
bool release_unused();

// Whether the system's allocator is used for lack of address space. It is slower, which deserves a warning.
bool address_space_is_short();

}  // namespace bop::mem

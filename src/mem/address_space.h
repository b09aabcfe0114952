// What the process may still have of address space and of memory.
#pragma once

#include <cstdint>

namespace bop::mem {

// Whether `bytes` more can be mapped (ulimit -v). Any thread.
bool address_space_has(uint64_t bytes);

// Whether `bytes` more can be allocated (ulimit -v; the system's memory where overcommit is off). Any thread.
bool memory_has(uint64_t bytes);

// Bytes of address space that the limit of the process (ulimit -v) leaves to it; UINT64_MAX: there is no limit.
uint64_t address_space_left();

}  // namespace bop::mem

// The kernel's page cache, and the device's blocks behind it.
#pragma once

#include <cstdint>

namespace bop::mem {

// Writes the file's dirty pages to the device, 4 MiB at a time, and waits for each piece, so that a sync
// that follows has little left to write. Written all at once, they would delay everyone else's writes in
// the device's queue. Returns 0 or an errno. The kernel reports a failed earlier write only once, so the
// caller must treat this error like a failed sync. Blocks. Does nothing where the system has no such call.
int write_back(int file);

// Allocates blocks on the device for the file's bytes [from, end), also beyond its end, without changing its
// size, so that writing there needs no further space. Returns 0 or an errno, such as ENOSPC. Does nothing where
// the system or the file system does not support it.
int allocate_blocks(int file, uint64_t from, uint64_t end);

}  // namespace bop::mem

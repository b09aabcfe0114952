// The kernel's copy of a file's pages, and the blocks on the device that take it.
#pragma once

#include <cstdint>

namespace bop::mem {

// Has the kernel write what it holds of the file to the device, a piece at a time, and waits for each:
// a sync that follows finds little left. All at once it would stand before others' writes in the device's
// queue. 0, or an errno: what the kernel says of earlier writes of the file it says once, so that this
// error is the sync's. Blocks; does nothing where the system has no such call.
int write_back(int file);

// Has the file system allocate blocks for the file's bytes [from, end), and past its end without changing its
// size: writing there then needs no more space. 0, or an errno: ENOSPC. Does nothing where the system or the
// file system cannot.
int allocate_blocks(int file, uint64_t from, uint64_t end);

}  // namespace bop::mem

// The kernel's page cache, and the device's blocks behind it.
#pragma once

#include <cstdint>
#include <span>

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

// Reads all of `out` from `offset` on. Returns 0, an errno, or file_ends when the file has fewer bytes. Blocks.
inline constexpr int file_ends = -1;
int read_fully(int file, uint64_t offset, std::span<uint8_t> out);

// Lets the kernel begin to read these bytes into its cache, and does not wait for it.
void read_ahead(int file, uint64_t offset, uint64_t bytes);

}  // namespace bop::mem

// The kernel's copy of a file's pages.
#pragma once

namespace bop::mem {

// Has the kernel write what it holds of the file to the device, a piece at a time, and waits for each:
// a sync that follows finds little left. All at once it would stand before others' writes in the device's
// queue. 0, or an errno: what the kernel says of earlier writes of the file it says once, so that this
// error is the sync's. Blocks; does nothing where the system has no such call.
int write_back(int file);

}  // namespace bop::mem

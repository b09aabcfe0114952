// Descriptors 0 to 2, which a careless supervisor may have closed.
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

namespace command_line {

// First of all in main(): else a file of ours becomes descriptor 2, and what is logged goes into it. Output
// is opened for reading only, so that printing still fails and is reported, as on a closed descriptor.
inline void open_standard_streams() {
  for (int descriptor = STDIN_FILENO; descriptor <= STDERR_FILENO; ++descriptor) {
    if (fcntl(descriptor, F_GETFD) != -1 || errno != EBADF) continue;
    // The lowest that is free, which is this one: those below are open.
    (void)!open("/dev/null", descriptor == STDOUT_FILENO ? O_RDONLY : O_RDWR);
  }
}

}  // namespace command_line

// File descriptors 0 to 2, which a supervisor or shell may have closed.
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

namespace command_line {

// Opens closed ones on /dev/null. Call it first in main(): otherwise a file of the program gets descriptor 2, and
// messages are written into it. Standard input is opened write-only and standard output read-only, so that using them
// still fails and is reported.
inline void open_standard_streams() {
  for (int descriptor = STDIN_FILENO; descriptor <= STDERR_FILENO; ++descriptor) {
    if (fcntl(descriptor, F_GETFD) != -1 || errno != EBADF) continue;
    // open() returns the lowest free descriptor, which is this one: those below are open.
    constexpr int modes[] = {O_WRONLY, O_RDONLY, O_RDWR};
    (void)!open("/dev/null", modes[descriptor]);
  }
}

}  // namespace command_line

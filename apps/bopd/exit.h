// Exit codes and error messages of bopd.
#pragma once

#include <cstdint>
#include <string_view>

// Exit codes that scripts and supervisors can rely on.
enum Exit : int {
  ok = 0,
  refused = 1,  // already or not formatted, another node's directory, newer format, damaged data
  usage = 2,    // usage error or invalid configuration
  failed = 3,   // a port or directory in use, a full disk, an I/O error
};

Exit exit_of(int32_t status);

// Prints "bopd: WHAT (BOP_E_…)" to standard error. The exit code for the status.
Exit complain(int32_t status, std::string_view what);

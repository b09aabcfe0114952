// How bopd ends and complains.
#pragma once

#include <cstdint>
#include <string_view>

// Exit codes that scripts and supervisors can rely on.
enum Exit : int {
  ok = 0,
  refused = 1,  // what was asked for cannot be: formatted already, another's directory, damage
  usage = 2,    // wrong flags, or a configuration that is not valid
  failed = 3,   // the world: a port or directory in use, disk full, I/O
};

Exit exit_of(int32_t status);

// "bopd: WHAT: …" on standard error.
Exit complain(int32_t status, std::string_view what);

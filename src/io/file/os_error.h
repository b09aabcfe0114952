// Turns errno into an error of the list, with the words that name the file.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace bop::io {

// The code that fits: DISK_FULL for no room of whatever kind (ENOSPC, EDQUOT, EFBIG of a file size
// limit), NOT_FOUND, OVERLOADED when there are too many open files, else IO.
bop_status status_of(int error_number);

// "open of wal/3.seg: No space left on device"
Error os_error(int error_number, std::string_view action, std::string_view name);

inline std::unexpected<Error> os_failure(int error_number, std::string_view action,
                                         std::string_view name) {
  return std::unexpected(os_error(error_number, action, name));
}

}  // namespace bop::io

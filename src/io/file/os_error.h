// Turns an errno into an error of bop's list, with a text that names the file.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace bop::io {

// DISK_FULL for a lack of space of any kind (ENOSPC; EDQUOT; EFBIG, a limit of the file size), NOT_FOUND
// for ENOENT, OVERLOADED for too many open files, IO for any other error.
bop_status status_of(int error_number);

// "open of wal/3.seg: No space left on device"
Error os_error(int error_number, std::string_view action, std::string_view name);

inline std::unexpected<Error> os_failure(int error_number, std::string_view action,
                                         std::string_view name) {
  return std::unexpected(os_error(error_number, action, name));
}

}  // namespace bop::io

#include "io/file/os_error.h"

#include <fmt/format.h>

#include <cerrno>
#include <system_error>

namespace bop::io {

bop_status status_of(int error_number) {
  switch (error_number) {
    case ENOSPC:
    case EDQUOT:
    case EFBIG: return BOP_E_DISK_FULL;
    case ENOENT: return BOP_E_NOT_FOUND;
    case EMFILE:
    case ENFILE: return BOP_E_OVERLOADED;
    default: return BOP_E_IO;
  }
}

Error os_error(int error_number, std::string_view action, std::string_view name) {
  return {status_of(error_number),
          fmt::format("{} of {}: {}", action, name,
                      std::error_code(error_number, std::generic_category()).message())};
}

}  // namespace bop::io

#include "exit.h"

#include <cstdio>

#include "bop/error.h"

Exit exit_of(int32_t status) {
  switch (status) {
    case BOP_OK: return ok;
    case BOP_E_INVALID_ARGUMENT:
    case BOP_E_BAD_CONFIG:
    case BOP_E_BAD_ADDRESS:
    case BOP_E_NOT_FOUND: return usage;
    case BOP_E_ALREADY_FORMATTED:
    case BOP_E_NOT_FORMATTED:
    case BOP_E_FOREIGN_DIRECTORY:
    case BOP_E_NEWER_FORMAT:
    case BOP_E_OLDER_FORMAT:
    case BOP_E_DAMAGED: return refused;
    default: return failed;
  }
}

Exit complain(int32_t status, std::string_view what) {
  if (what.empty()) what = bop_error_text(status);
  std::fprintf(stderr, "bopd: %.*s (%s)\n", static_cast<int>(what.size()), what.data(),
               bop_error_name(status));
  return exit_of(status);
}

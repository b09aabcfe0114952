#include "bop/error.h"

#include "base/result.h"

const char* bop_error_name(int status) {
  switch (status) {
    case BOP_OK: return "BOP_OK";
    case BOP_PENDING: return "BOP_PENDING";
#define BOP_ERROR_NAME(name, number, text) \
  case number: return "BOP_E_" #name;
      BOP_ERROR_MAP(BOP_ERROR_NAME)
#undef BOP_ERROR_NAME
    default: return "BOP_E_?";
  }
}

const char* bop_error_text(int status) {
  switch (status) {
    case BOP_OK: return "success";
    case BOP_PENDING: return "the operation completes later";
#define BOP_ERROR_TEXT(name, number, text) \
  case number: return text;
      BOP_ERROR_MAP(BOP_ERROR_TEXT)
#undef BOP_ERROR_TEXT
    default: return "unknown error, perhaps of another version of bop";
  }
}

namespace bop {

std::string Error::to_string() const {
  return std::string(bop_error_name(code)) + ": " +
         (detail.empty() ? bop_error_text(code) : detail);
}

}  // namespace bop

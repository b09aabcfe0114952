// Result: a value, or an error from the list in bop/error.h with a text that explains it.
//
// No exception leaves a module. The text names what failed in terms that the user knows
// ("shard0/0000000000000002.seg at 4096: ..."), so that it can be shown as it is.
#pragma once

#include <cassert>
#include <expected>
#include <string>
#include <utility>

#include "bop/error.h"

namespace bop {

struct [[nodiscard]] Error {
  bop_status code = BOP_E_INTERNAL;
  std::string detail;  // empty: to_string() uses the text of the list

  // "BOP_E_IO: write of node.wal: No space left on device"
  std::string to_string() const;
  friend bool operator==(const Error& a, const Error& b) { return a.code == b.code; }
};

template <class T>
using Result = std::expected<T, Error>;
using Status = Result<void>;

inline std::unexpected<Error> fail(bop_status code, std::string detail = {}) {
  return std::unexpected(Error{code, std::move(detail)});
}

}  // namespace bop

// Returns the error of an expression from the enclosing function; g++ 12 has no monadic expected.
#define BOP_TRY(expression)                                      \
  do {                                                           \
    if (auto bop_try_result = (expression); !bop_try_result)     \
      return std::unexpected(std::move(bop_try_result).error()); \
  } while (0)

#define BOP_CONCAT_INNER(a, b) a##b
#define BOP_CONCAT(a, b) BOP_CONCAT_INNER(a, b)

// BOP_TRY_ASSIGN(auto file, open(path)): declares `file`, or returns the error.
#define BOP_TRY_ASSIGN(declaration, expression) \
  BOP_TRY_ASSIGN_INNER(BOP_CONCAT(bop_try_, __LINE__), declaration, expression)
#define BOP_TRY_ASSIGN_INNER(name, declaration, expression)   \
  auto name = (expression);                                   \
  if (!name) return std::unexpected(std::move(name).error()); \
  declaration = std::move(*name)

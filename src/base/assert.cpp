#include "base/assert.h"

#include <cstdio>
#include <cstdlib>

namespace bop {

static AssertHandler assert_handler = nullptr;

void set_assert_handler(AssertHandler handler) { assert_handler = handler; }

void assert_failed(const char* file, int line, const char* condition, const std::string& values) {
  const std::string text = values.empty() ? condition : std::string(condition) + ": " + values;
  if (assert_handler != nullptr) assert_handler(file, line, text.c_str());
  std::fprintf(stderr, "bop: assertion failed at %s:%d: %s\n", file, line, text.c_str());
  std::abort();
}

}  // namespace bop

// Asserts that print the values they compared.
//
// A failed assert is a bug in bop. It calls the handler (default: print and abort), which never returns.
// Mistakes of the caller and faults of the environment are Errors (base/result.h), never asserts.
// Asserts stay on in release builds. BOP_ASSERT_SLOW is for checks with a measurable cost: it is on in
// debug builds, tests and the simulator.
#pragma once

#include <sstream>
#include <string>

namespace bop {

using AssertHandler = void (*)(const char* file, int line, const char* text);

// Set by the host before anything else runs; the handler must not return.
void set_assert_handler(AssertHandler handler);

[[noreturn]] void assert_failed(const char* file, int line, const char* condition,
                                const std::string& values);

template <class A, class B>
[[noreturn]] void compare_failed(const char* file, int line, const char* condition, const A& a,
                                 const B& b) {
  std::ostringstream values;
  values << +a << " against " << +b;
  assert_failed(file, line, condition, values.str());
}

}  // namespace bop

#define BOP_ASSERT(condition)                                              \
  do {                                                                     \
    if (!(condition)) [[unlikely]]                                         \
      ::bop::assert_failed(__FILE__, __LINE__, #condition, std::string()); \
  } while (0)

#define BOP_ASSERT_COMPARE(a, op, b)                                              \
  do {                                                                            \
    const auto& bop_a = (a);                                                      \
    const auto& bop_b = (b);                                                      \
    if (!(bop_a op bop_b)) [[unlikely]]                                           \
      ::bop::compare_failed(__FILE__, __LINE__, #a " " #op " " #b, bop_a, bop_b); \
  } while (0)

#define BOP_ASSERT_EQ(a, b) BOP_ASSERT_COMPARE(a, ==, b)
#define BOP_ASSERT_NE(a, b) BOP_ASSERT_COMPARE(a, !=, b)
#define BOP_ASSERT_LT(a, b) BOP_ASSERT_COMPARE(a, <, b)
#define BOP_ASSERT_LE(a, b) BOP_ASSERT_COMPARE(a, <=, b)
#define BOP_ASSERT_GT(a, b) BOP_ASSERT_COMPARE(a, >, b)
#define BOP_ASSERT_GE(a, b) BOP_ASSERT_COMPARE(a, >=, b)

#if defined(BOP_SLOW_ASSERTS)
#define BOP_ASSERT_SLOW(condition) BOP_ASSERT(condition)
#else
#define BOP_ASSERT_SLOW(condition) \
  do {                             \
  } while (0)
#endif

// Bugs that a build variant of a module can carry, to prove that the checkers find them. The library that
// ships has none: there, seeded() is constant false.
//
// A module lists its bugs as LIST(bug), one bug(name) each. In a variant, which is compiled with
// BOP_SEEDED_BUGS, a test program chooses one by name before it runs anything.
#pragma once

#include <string_view>

#define BOP_SEEDED_BUG_NAME(name) name,
#define BOP_SEEDED_BUG_CHOOSE(name) \
  if (wanted == #name) return (chosen_bug = Bug::name), true;

#if defined(BOP_SEEDED_BUGS)
#define BOP_SEEDED_BUGS_OF(LIST)                                          \
  enum class Bug { none, LIST(BOP_SEEDED_BUG_NAME) };                     \
  inline Bug chosen_bug = Bug::none;                                      \
  inline bool seeded(Bug bug) { return bug == chosen_bug; }               \
  inline bool choose_bug(std::string_view wanted) {                       \
    BOP_SEEDED_BUG_CHOOSE(none) LIST(BOP_SEEDED_BUG_CHOOSE) return false; \
  }
#else
#define BOP_SEEDED_BUGS_OF(LIST)                      \
  enum class Bug { none, LIST(BOP_SEEDED_BUG_NAME) }; \
  constexpr bool seeded(Bug) { return false; }
#endif

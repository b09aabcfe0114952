// Bugs that a build variant of a module can carry, to prove that the checkers find them. The library that
// ships has none: there, seeded() is constant false.
//
// A module lists its bugs as LIST(bug), one bug(name, what, source, elsewhere) each. In a variant, which is
// compiled with BOP_SEEDED_BUGS, a program chooses one by name before it runs anything.
#pragma once

#include <string_view>

namespace bop {

struct SeededBug {
  std::string_view name;
  std::string_view what;    // the module does wrong, as a clause without a subject
  std::string_view source;  // a public report of such a bug in another implementation; empty: ours
  // Why the simulator cannot see it, and which test does; empty: the simulator must see it.
  std::string_view elsewhere;
};

}  // namespace bop

#define BOP_SEEDED_BUG_NAME(name, ...) name,
#define BOP_SEEDED_BUG_ROW(name, ...) SeededBug{#name, __VA_ARGS__},
#define BOP_SEEDED_BUG_CHOOSE(name, ...) \
  if (wanted == #name) return (chosen_bug = Bug::name), true;

#if defined(BOP_SEEDED_BUGS)
#define BOP_SEEDED_BUGS_OF(LIST)                                          \
  enum class Bug { none, LIST(BOP_SEEDED_BUG_NAME) };                     \
  inline constexpr SeededBug seeded_bugs[] = {LIST(BOP_SEEDED_BUG_ROW)};  \
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

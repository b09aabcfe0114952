// Bugs that a build variant of this room can carry, to prove that the checkers see them. The
// library that ships has none: each place that asks compiles to nothing.
//
// A variant is compiled with -DBOP_SEEDED_BUG=<name>.
#pragma once

namespace bop::group {

enum class Bug {
  none,
  answer_when_proposed,  // says OK when the leader has the entry, before it is committed
  wrong_entry_answers,   // takes what was committed at the index for what was proposed
  read_before_applied,   // asks the machine before it applied the read's index
  read_without_index,    // asks the machine without asking the leader
  forward_twice,         // sends a forwarded request again when the connection broke
  forget_duplicates,     // proposes a duplicated frame again
  settle_committed,      // lets the machine make permanent what this node's log may lose
  skip_after_restart,    // does not apply again what the machine had not made durable
};

#if !defined(BOP_SEEDED_BUG)
#define BOP_SEEDED_BUG none
#endif

// Never asked for `none`.
constexpr bool seeded(Bug bug) { return bug == Bug::BOP_SEEDED_BUG; }

}  // namespace bop::group

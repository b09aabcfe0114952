// The lines of bop-quorum. Grammar, with [optional] and {repeated} parts:
//
//   line     = "committed" voters ["acks" {NODE "=" INDEX}]
//            | "vote" voters {"yes" ids | "no" ids}
//            | "change" "from" voters ["learners" ids] ":" [op {"," op}]
//   voters   = "voters" ids ["joint" ids]        the half that is entered, and the one that is left
//   ids      = "(" [NODE {"," NODE}] ")" | [NODE {"," NODE}]
//   op       = "add-voter" NODE | "promote" NODE | "add-learner" NODE | "demote" NODE | "remove" NODE
//            | "joint" | "leave" | "cancel"
//
// Answers: the committed index, or ∞ without voters; won, lost or pending; a configuration as in `change from`, or
// "error NAME" with a name of bop/error.h.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace bop::tools {

// INVALID_ARGUMENT: the line does not follow the grammar; the message says where.
Result<std::string> quorum_line(std::string_view line);

}  // namespace bop::tools

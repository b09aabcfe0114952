// Histories as files: one operation per line, each a JSON object. Tests on real processes write them,
// in any language; bop-check reads them.
//
//   {"client":3,"key":"a","op":"put","value":"7","if":"absent","outcome":"ok",
//    "invoked_ns":100,"returned_ns":250,"revision":12}                        (one line)
//
//   field              of            meaning
//   client             all           a number; for people
//   key                all           a string
//   op                 all           get, put, remove, add, append
//   outcome            all           ok, condition_failed, wrong_type, overflow, unknown
//   invoked_ns         all           when it was called: a clock that all clients share
//   returned_ns        all but unknown   when the reply arrived
//   value              put, append   a string
//   delta              add           a 64-bit number
//   if                 any but get   absent, present, value, revision; left out: no condition
//   expected           if value      a string
//   expected_revision  if revision   a number; 0: absent
//   seen               any           the record that the reply showed, {"present":true,"value":"7",
//                                    "revision":12}: of a get as it is, else as it was before; left
//                                    out: unknown, as are value and revision within it
//   result             add, append   the new number; the new length
//   revision           writes        the new revision
//
// A string's characters U+0000 to U+00FF stand for the bytes of that number; others are refused.
// An operation that certainly did not execute is left out. Empty lines are skipped, an unknown field
// is an error: a misspelt one would silently weaken the check.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "sim/linearizability.h"

namespace bop::sim {

// Without the newline.
std::string to_json_line(const Operation& operation);

// PROTOCOL, with the line's number, when a line is not of the form above.
Result<std::vector<Operation>> parse_history(std::string_view text);

}  // namespace bop::sim

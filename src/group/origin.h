// Where a proposal came from, and so where its outcome goes: a completion on this node, or the node that
// forwarded it.
#pragma once

#include "port/requests.h"

namespace bop::group {

using port::Completion;
using port::Outcome;
using port::Request;

struct Origin {
  Completion* completion = nullptr;  // nullptr: the proposal was forwarded
  uint64_t token = 0;                // of the completion, or the sequence of the Forward
  NodeId node = 0;                   // that forwarded it
  uint64_t origin_epoch = 0;         // of the Forward
  uint64_t connection = 0;           // of the Request, if it came on this node
};

// A proposal that was appended and is not applied yet.
struct Pending {
  Term term = 0;  // of its entry; 0: none (a free slot of Proposals)
  Instant deadline = never;
  Origin origin;
  bool answered = false;  // before its entry was decided
};

}  // namespace bop::group

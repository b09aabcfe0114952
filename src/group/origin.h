// Where a proposal came from and where its answer goes: a completion of this node, or the node that
// forwarded it.
#pragma once

#include "port/requests.h"

namespace bop::group {

using port::Completion;
using port::Outcome;
using port::Request;

struct Origin {
  Completion* completion = nullptr;  // nullptr: forwarded
  uint64_t token = 0;                // the completion's, or the forwarding node's sequence
  NodeId node = 0;
  uint64_t origin_epoch = 0;  // of that node
};

struct Pending {
  Term term = 0;  // of the entry; 0: the place is free
  Instant deadline = never;
  Origin origin;
};

}  // namespace bop::group

// What clients ask of a group and what they hear back. Of one shard's thread.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/result.h"
#include "base/time.h"
#include "mem/buffer.h"

namespace bop::port {

struct Outcome {
  // BOP_OK or what the machine answered (CONDITION_FAILED, ...), or bop's own: TIMEOUT and UNAVAILABLE
  // (nothing was executed), OUTCOME_UNKNOWN, OVERLOADED, TOO_LARGE, LOG_FULL, DISK_FULL, SUSPECT,
  // LATCHED, IO and DAMAGED (its log cannot be read), NO_GROUP, MACHINE, STOPPED.
  bop_status status = BOP_OK;
  Bytes body;               // valid during the call
  Index index = 0;          // proposals: of the entry, 0 when it was not proposed
  NodeId leader = 0;        // a hint, 0: unknown
  std::string_view detail;  // words for people, may be empty
};

// Who asked. It must outlive its requests: every one is answered exactly once, never from within
// propose or query, at the latest shortly after its deadline.
class Completion {
 public:
  virtual ~Completion() = default;
  virtual void complete(uint64_t token, const Outcome& answer) = 0;
};

struct Request {
  GroupId group = 0;
  mem::Buffer payload;   // the machine's command or question
  Instant deadline = 0;  // of this node's clock
  Completion* completion = nullptr;
  uint64_t token = 0;  // the completion's own
};

}  // namespace bop::port

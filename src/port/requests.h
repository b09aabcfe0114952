// Requests of clients to a group, and their outcomes. Used on the thread of one shard.
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
  // BOP_OK; or a status of the machine (CONDITION_FAILED, ...); or one of bop: OUTCOME_UNKNOWN (the
  // command may have been executed), or any other error, after which it was not: TIMEOUT, UNAVAILABLE,
  // OVERLOADED, TOO_LARGE, LOG_FULL, DISK_FULL, SUSPECT, LATCHED, IO and DAMAGED (the log cannot be read),
  // NO_GROUP, MACHINE, STOPPED.
  bop_status status = BOP_OK;
  Bytes body;         // the machine's reply; valid during the call of complete()
  Index index = 0;    // of a proposal's entry; 0: it was not proposed, or the request is a query
  NodeId leader = 0;  // a hint; 0: unknown
  std::string_view detail;  // explains an error to people; may be empty
};

// Receives the outcomes of requests. It must outlive them: every request is completed exactly once, never
// from within propose or query, and at the latest shortly after its deadline.
class Completion {
 public:
  virtual ~Completion() = default;
  virtual void complete(uint64_t token, const Outcome& answer) = 0;
};

struct Request {
  GroupId group = 0;
  mem::Buffer payload;   // a command or a query, in the machine's encoding
  Instant deadline = 0;  // by this node's clock
  Completion* completion = nullptr;
  uint64_t token = 0;  // passed back to completion->complete()
  // The connection of the client, if it promises that its commands take effect in the order in which they are
  // proposed; 0: no order matters. Unique in this node, for as long as it runs.
  uint64_t connection = 0;
};

}  // namespace bop::port

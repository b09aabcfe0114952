// What gathers for a replica's next turn: events for the core, and outcomes that the replica itself
// decides. Whatever comes in has the replica scheduled.
#pragma once

#include <string>
#include <vector>

#include "group/host.h"
#include "group/origin.h"
#include "raft/core.h"

namespace bop::group {

// An outcome that waits for the end of the turn: a completion is never called from within the request
// that it completes.
struct DeferredOutcome {
  Origin origin;
  bop_status status = BOP_OK;
  std::string detail;
};

class Inbox {
 public:
  Inbox(Replica& replica, Host& host) : replica_(replica), host_(host) {}

  // Has step() and finish() called at the end of this turn.
  void schedule();
  // In the order in which the core hears them. Returns the event's number in its turn.
  size_t add(raft::Event event);
  void complete(const Origin& origin, bop_status status, std::string detail = {});
  void complete(const Request& request, bop_status status, std::string detail = {}) {
    complete(Origin{.completion = request.completion, .token = request.token}, status,
             std::move(detail));
  }

  // ---- the replica's turn ----

  // What came until now; what comes from here on is of the next turn.
  const std::vector<raft::Event>& begin_step();
  const std::vector<raft::Event>& stepped() const { return stepped_; }
  // The core and the log took them over: their payloads need no memory any more.
  void end_step() { stepped_.clear(); }
  std::vector<DeferredOutcome> take_outcomes();
  bool has_outcomes() const { return !outcomes_.empty(); }

  void check_invariants() const;

 private:
  Replica& replica_;
  Host& host_;
  bool scheduled_ = false;  // until the step begins: a replica steps once a turn
  std::vector<raft::Event> events_;
  std::vector<raft::Event> stepped_;  // of the step under way
  std::vector<DeferredOutcome> outcomes_;
};

}  // namespace bop::group

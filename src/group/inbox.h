// Gathers a replica's input for the end of the turn: events for the core, and outcomes that the replica
// decides without the core. Adding anything schedules the replica.
#pragma once

#include <string>
#include <vector>

#include "group/host.h"
#include "group/origin.h"
#include "raft/core.h"

namespace bop::group {

// An outcome that waits for the end of the turn, because a completion must not be called from within the
// request that it completes.
struct DeferredOutcome {
  Origin origin;
  bop_status status = BOP_OK;
  std::string detail;
};

class Inbox {
 public:
  Inbox(Replica& replica, Host& host) : replica_(replica), host_(host) {}

  // Causes step() and finish() to be called at the end of this turn.
  void schedule();
  // Adds an event for the core's next step; the core handles events in this order. Returns its index.
  size_t add(raft::Event event);
  void complete(const Origin& origin, bop_status status, std::string detail = {});
  void complete(const Request& request, bop_status status, std::string detail = {}) {
    complete(Origin{.completion = request.completion, .token = request.token}, status,
             std::move(detail));
  }

  // ---- the replica's turn ----

  // The events so far. Events that are added from now on belong to the next step.
  const std::vector<raft::Event>& begin_step();
  const std::vector<raft::Event>& stepped() const { return stepped_; }
  // Drops the events of the step, whose payloads the core and the log now share.
  void end_step() { stepped_.clear(); }
  std::vector<DeferredOutcome> take_outcomes();
  bool has_outcomes() const { return !outcomes_.empty(); }

  void check_invariants() const;

 private:
  Replica& replica_;
  Host& host_;
  bool scheduled_ = false;  // until the step begins: a replica steps once in a turn
  std::vector<raft::Event> events_;
  std::vector<raft::Event> stepped_;  // the events of the current step
  std::vector<DeferredOutcome> outcomes_;
};

}  // namespace bop::group

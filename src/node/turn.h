// The end of a shard's turn: which replicas step, and what happens in which order (port::Phase).
//
//         schedule()               step phase                       apply phase
//   idle ───────────► scheduled ──────────────► stepped: the log ──────────────► finished: applied,
//                                               and the peers get                 completed
//                                               what it gathered
//
// A replica may be scheduled again while it steps, and then steps once more in the same turn.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "port/post.h"

namespace bop::group {
class Replica;
}

namespace bop::node {

class Turn {
 public:
  struct Actions {
    std::function<void()> submit;    // after all steps: frames to peers and the log's write leave
    std::function<void()> finished;  // after all replicas are finished
  };

  Turn(port::Post& post, Actions actions) : post_(post), actions_(std::move(actions)) {}

  // The actions run at the end of this turn, even when no replica is scheduled.
  void request();
  // Has `replica` step and finish at the end of this turn.
  void schedule(group::Replica& replica);
  // From now on no replica steps: nothing new is written or completed.
  void halt();

  bool requested() const { return requested_; }
  uint64_t count() const { return count_; }  // turns that ended since the start

  // Between turns.
  void check_invariants() const;

 private:
  void step_all();
  void finish_all();

  port::Post& post_;
  const Actions actions_;
  std::vector<group::Replica*> scheduled_;  // to be stepped
  std::vector<group::Replica*> stepping_;   // while they step
  std::vector<group::Replica*> stepped_;  // and not finished; one that stepped twice is here twice
  bool requested_ = false;                // step_all() is due at the end of this turn
  bool halted_ = false;
  uint64_t count_ = 0;
};

}  // namespace bop::node

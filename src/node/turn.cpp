#include "node/turn.h"

#include "base/assert.h"
#include "group/replica.h"

namespace bop::node {

void Turn::request() {
  if (requested_) return;
  requested_ = true;
  post_.at_end_of_turn(port::Phase::step, [this] { step_all(); });
}

void Turn::schedule(group::Replica& replica) {
  if (halted_) return;
  scheduled_.push_back(&replica);
  request();
}

void Turn::halt() {
  BOP_ASSERT(stepping_.empty());  // not from within a step
  halted_ = true;
  scheduled_.clear();
}

void Turn::step_all() {
  BOP_ASSERT(requested_);
  ++count_;
  while (!scheduled_.empty()) {
    stepping_.swap(scheduled_);
    for (group::Replica* replica : stepping_) {
      replica->step();
      stepped_.push_back(replica);
    }
    stepping_.clear();
  }
  requested_ = false;
  actions_.submit();
  post_.at_end_of_turn(port::Phase::apply, [this] { finish_all(); });
}

void Turn::finish_all() {
  // By index: finish() may request another step phase of this turn, which adds to stepped_. Finishing a
  // replica twice has no effect.
  for (size_t i = 0; i < stepped_.size(); ++i) stepped_[i]->finish();
  stepped_.clear();
  actions_.finished();
}

void Turn::check_invariants() const {
  BOP_ASSERT(stepping_.empty());
  BOP_ASSERT(stepped_.empty());
  if (!scheduled_.empty()) BOP_ASSERT(requested_);
  if (halted_) BOP_ASSERT(scheduled_.empty());
}

}  // namespace bop::node

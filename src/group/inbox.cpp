#include "group/inbox.h"

#include <utility>

namespace bop::group {

void Inbox::schedule() {
  if (scheduled_) return;
  scheduled_ = true;
  host_.schedule(replica_);
}

size_t Inbox::add(raft::Event event) {
  events_.push_back(std::move(event));
  schedule();
  return events_.size() - 1;
}

void Inbox::complete(const Origin& origin, bop_status status, std::string detail) {
  outcomes_.push_back({origin, status, std::move(detail)});
  schedule();
}

const std::vector<raft::Event>& Inbox::begin_step() {
  BOP_ASSERT(stepped_.empty());
  scheduled_ = false;
  stepped_.swap(events_);
  return stepped_;
}

std::vector<DeferredOutcome> Inbox::take_outcomes() { return std::exchange(outcomes_, {}); }

// Between two steps: if there is any input, the replica is scheduled.
void Inbox::check_invariants() const {
  BOP_ASSERT(stepped_.empty());
  if (!events_.empty()) BOP_ASSERT(scheduled_);
}

}  // namespace bop::group

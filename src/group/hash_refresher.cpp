#include "group/hash_refresher.h"

namespace bop::group {

namespace {

constexpr Duration rest = 50 * milliseconds;
// What a machine does for one question it may bound as if more entries came: it is asked again.
constexpr unsigned max_questions = 2;

}  // namespace

HashRefresher::HashRefresher(const port::Clock& clock, port::Timers& timers) : clock_(clock) {
  timer_ = timers.make_timer([this] {
    armed_ = false;
    look();
  });
}

void HashRefresher::on_applied(Index applied) {
  applied_ = applied;
  arm();
}

void HashRefresher::stop() {
  driver_ = nullptr;
  timer_->cancel();
}

void HashRefresher::arm() {
  if (armed_) return;
  armed_ = true;
  timer_->arm(clock_.now() + rest);
}

void HashRefresher::look() {
  if (driver_ == nullptr) return;
  if (seen_ != applied_) {
    seen_ = applied_;
    questions_ = 0;
    return arm();
  }
  const auto hash = driver_->state_hash();
  const bool ready = hash && hash->index == driver_->applied().index;
  if (!ready && ++questions_ < max_questions) arm();
}

}  // namespace bop::group

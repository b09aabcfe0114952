#include "group/hash_refresher.h"

#include <algorithm>

namespace bop::group {

namespace {

constexpr Duration rest = 50 * milliseconds;
// The machine may do only a bounded part of the work at a time: it is asked again, after pauses that double up
// to longest_pause, until its hash is that of the last entry.
constexpr unsigned max_questions = 16;
constexpr Duration longest_pause = 1 * seconds;

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
  latest_.reset();
  timer_->cancel();
}

void HashRefresher::arm() {
  if (armed_) return;
  armed_ = true;
  timer_->arm(clock_.now() + std::min(rest << questions_, longest_pause));
}

void HashRefresher::look() {
  if (driver_ == nullptr) return;
  if (seen_ != applied_) {
    seen_ = applied_;
    questions_ = 0;
    return arm();
  }
  ask();
  const bool ready = latest_ && latest_->index == driver_->applied().index;
  if (!ready && ++questions_ < max_questions) arm();
}

void HashRefresher::ask() {
  if (driver_ != nullptr) latest_ = driver_->state_hash();
}

}  // namespace bop::group

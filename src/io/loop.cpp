#include "io/loop.h"

#include <time.h>

#include <algorithm>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <chrono>
#include <utility>

#include "base/assert.h"
#include "io/thread.h"
#include "io/timer_heap.h"

namespace bop::io {

namespace asio = boost::asio;

namespace {

// The number of events that Asio takes from one epoll_wait.
constexpr size_t most_handlers = 128;

int64_t read(clockid_t clock) {
  timespec time;
  clock_gettime(clock, &time);
  return time.tv_sec * seconds + time.tv_nsec;
}

}  // namespace

struct Loop::Asio {
  // Other threads only call post(), which goes through the scheduler, and that keeps its lock;
  // descriptors are used on one thread only.
  asio::io_context context{BOOST_ASIO_CONCURRENCY_HINT_UNSAFE_IO};
  asio::executor_work_guard<asio::io_context::executor_type> guard{context.get_executor()};
};

struct Loop::Posted {
  std::function<void()> task;
  Posted* next;
};

Loop::Loop()
    : asio_(std::make_unique<Asio>()), timers_(std::make_unique<TimerHeap>()), now_(read_clock()) {}

Loop::~Loop() {
  stopping_.store(true, std::memory_order_release);
  drop_posted();
  BOP_ASSERT(pollers_.empty());
}

Instant Loop::read_clock() { return read(CLOCK_MONOTONIC); }

int64_t Loop::wall_ns() const { return read(CLOCK_REALTIME); }

asio::io_context& Loop::context() { return asio_->context; }

// Before its first turn a loop has no thread: the thread that made it may start another one for it.
bool Loop::on_own_thread() const {
  return std::this_thread::get_id() == thread_.load(std::memory_order_relaxed);
}

void Loop::run() {
  block_file_size_signal();
  while (!stopped()) run_turn();
  // Runs the tasks posted before stop(), and the end of that turn.
  run_turn(now_);
}

void Loop::stop() {
  stopping_.store(true, std::memory_order_release);
  wake();
}

bool Loop::run_until(const std::function<bool()>& done, Duration limit) {
  const Instant latest = read_clock() + limit;
  while (!done()) {
    if (now_ >= latest) return false;
    run_turn(latest);
  }
  return true;
}

void Loop::run_turn(Instant latest) {
  thread_.store(std::this_thread::get_id(), std::memory_order_relaxed);
  const bool work_waits = !ready_.empty() || !end_of_turn_.empty() || stopped() ||
                          posted_.load(std::memory_order_acquire) != nullptr;
  const Instant until = work_waits ? now_ : std::min(latest, timers_->next_deadline());
  if (until > now_) {
    wait(until);
  }
  now_ = read_clock();
  ++turns_;
  drain();
  while (end_of_turn_.run_next()) {
  }
}

void Loop::wait(Instant until) {
  if (until == never) {
    asio_->context.run_one();
  } else {
    // steady_clock is the clock that read_clock() reads.
    const std::chrono::nanoseconds since_start(until);
    asio_->context.run_one_until(std::chrono::steady_clock::time_point(since_start));
  }
}

void Loop::drain() {
  // Sockets first, so that the log write of this turn contains what they bring. poll_one() also finds
  // what arrived while handlers ran; their number is limited because peers and the disk wait for the end
  // of the turn.
  for (size_t handled = 0; handled < most_handlers && asio_->context.poll_one() > 0; ++handled) {
  }
  for (size_t i = 0; i < pollers_.size(); ++i) pollers_[i]->poll();
  timers_->expire(now_);
  run_posted();
}

void Loop::add_poller(Poller& poller) { pollers_.push_back(&poller); }

void Loop::remove_poller(Poller& poller) { std::erase(pollers_, &poller); }

std::unique_ptr<port::Timer> Loop::make_timer(std::function<void()> on_deadline) {
  return timers_->make(std::move(on_deadline));
}

void Loop::post(std::function<void()> task) {
  if (on_own_thread()) {
    ready_.push_back(std::move(task));
    return;
  }
  Posted* before = posted_.load(std::memory_order_relaxed);
  auto* posted = new Posted{std::move(task), before};
  while (!posted_.compare_exchange_weak(before, posted, std::memory_order_acq_rel)) {
    posted->next = before;
  }
  // Only the first of a batch finds the list empty and wakes the loop. `posted` may be deleted already.
  if (before == nullptr) wake();
}

void Loop::wake() {
  asio::post(asio_->context, [] {});
}

void Loop::take_posted() {
  Posted* list = posted_.exchange(nullptr, std::memory_order_acq_rel);
  const size_t first = ready_.size();
  while (list != nullptr) {
    ready_.push_back(std::move(list->task));
    delete std::exchange(list, list->next);
  }
  std::reverse(ready_.begin() + static_cast<ptrdiff_t>(first), ready_.end());
}

// Tasks that these tasks post run in the next turn, so that sockets are served in between.
void Loop::run_posted() {
  take_posted();
  running_.swap(ready_);
  for (auto& task : running_) task();
  running_.clear();
}

void Loop::drop_posted() {
  take_posted();
  // Destroying a task may post another one, which is dropped too.
  while (!ready_.empty()) std::exchange(ready_, {}).clear();
  end_of_turn_ = {};
}

}  // namespace bop::io

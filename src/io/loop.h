// Loop: one thread's event loop, on Boost.Asio. A shard runs on one.
//
//   ┌─► wait      one epoll_wait, until a socket is ready, a timer is due or another thread posted
//   │   drain     handlers of every ready socket, pollers, due timers, posted tasks
//   │   end       tasks of at_end_of_turn: one send for each peer, one log write, one write of replies
//   │     │       for each connection
//   └─────┘
//
// One pass is a turn. The clock is read once in a turn, after the wait.
//
// Threads: a Loop is used on the thread that runs it. Only post() and stop() may be called on any thread.
// Before the first turn it belongs to the thread that made it, after the last to the one that destroys it.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "base/time.h"
#include "port/clock.h"
#include "port/end_of_turn.h"
#include "port/post.h"
#include "port/timer.h"

namespace boost::asio {
class io_context;
}

namespace bop::io {

class TimerHeap;

// Polled in every turn without a system call, such as a completion ring in shared memory.
class Poller {
 public:
  virtual ~Poller() = default;
  virtual void poll() = 0;
};

class Loop final : public port::Clock, public port::Timers, public port::Post {
 public:
  Loop();
  ~Loop() override;
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  // Runs turns until stop(). Tasks posted before stop() still run.
  void run();
  // Any thread, also from within a turn. A stopped loop cannot be started again.
  void stop();
  bool stopped() const { return stopping_.load(std::memory_order_acquire); }

  // One turn, which waits until `latest` at most. With `latest` at or before now() it only polls.
  void run_turn(Instant latest = never);
  // Runs turns until `done()` is true; false when `limit` passed first. For tests and short tools.
  bool run_until(const std::function<bool()>& done, Duration limit);

  Instant now() const override { return now_; }
  int64_t wall_ns() const override;
  // Reads the clock now, to measure time within a turn.
  static Instant read_clock();

  std::unique_ptr<port::Timer> make_timer(std::function<void()> on_deadline) override;

  void post(std::function<void()> task) override;
  void at_end_of_turn(port::Phase phase, std::function<void()> task) override {
    end_of_turn_.add(phase, std::move(task));
  }

  void add_poller(Poller& poller);
  void remove_poller(Poller& poller);

  // For io and net, which register their descriptors and sockets with it.
  boost::asio::io_context& context();

  uint64_t turns() const { return turns_; }

 private:
  struct Asio;
  struct Posted;

  bool on_own_thread() const;
  void wake();
  void wait(Instant until);
  void drain();
  void run_posted();
  void take_posted();
  void drop_posted();

  std::unique_ptr<Asio> asio_;
  std::unique_ptr<TimerHeap> timers_;
  Instant now_;
  uint64_t turns_ = 0;
  std::atomic<std::thread::id> thread_;  // of the latest turn

  std::vector<Poller*> pollers_;
  std::vector<std::function<void()>> ready_;    // posted tasks, in order, for this or the next turn
  std::vector<std::function<void()>> running_;  // the batch of tasks that runs now
  port::EndOfTurn end_of_turn_;

  std::atomic<Posted*> posted_ = nullptr;  // tasks from other threads, the latest first
  std::atomic<bool> stopping_ = false;
};

}  // namespace bop::io

// Loop: one thread's event loop, on Boost.Asio. A shard runs on one.
//
//   ┌─► wait      one epoll_wait, until something is ready, a timer is due or another thread posted
//   │   drain     handlers of every ready socket, pollers, due timers, posted tasks
//   │   end       what at_end_of_turn gathered: one send a peer, one log write, one reply write a
//   │     │       connection
//   └─────┘
//
// One pass is a turn. now() is read once a turn, after the wait.
//
// Threads: all of a Loop belongs to the thread that runs it, but post() and stop(), which any thread
// may call. Before its first turn it belongs to who made it, and after its last to who ends it.
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

// Looked at in every turn, with no system call: a completion ring in shared memory.
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

  // Turns until stop(). What was posted before stop() still runs.
  void run();
  // Any thread, also from within a turn; stays stopped.
  void stop();
  bool stopped() const { return stopping_.load(std::memory_order_acquire); }

  // One turn, which waits until `latest` at most; an Instant of now() or earlier only polls.
  void run_turn(Instant latest = never);
  // Turns until `done()` holds; false when it does not within `limit`. For tests and short tools.
  bool run_until(const std::function<bool()>& done, Duration limit);

  Instant now() const override { return now_; }
  int64_t wall_ns() const override;
  // The clock itself, for measuring within a turn.
  static Instant read_clock();

  std::unique_ptr<port::Timer> make_timer(std::function<void()> on_deadline) override;

  void post(std::function<void()> task) override;
  void at_end_of_turn(port::Phase phase, std::function<void()> task) override {
    end_of_turn_.add(phase, std::move(task));
  }

  void add_poller(Poller& poller);
  void remove_poller(Poller& poller);

  // For io and net, which hang their descriptors and sockets on it.
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
  std::vector<std::function<void()>> ready_;    // posted, in order, to run in this or the next turn
  std::vector<std::function<void()>> running_;  // the batch of them that runs now
  port::EndOfTurn end_of_turn_;

  std::atomic<Posted*> posted_ = nullptr;  // other threads' tasks, the latest first
  std::atomic<bool> stopping_ = false;
};

}  // namespace bop::io

// A simulated shard's loop: timers, posts and workers on a Thread of the scheduler, as src/io has
// them on a real one.
#pragma once

#include <memory>

#include "port/post.h"
#include "port/timer.h"
#include "sim/clock.h"
#include "sim/scheduler.h"

namespace bop::sim {

class Timers : public port::Timers {
 public:
  Timers(Thread& thread, NodeClock& clock) : thread_(thread), clock_(clock) {}
  std::unique_ptr<port::Timer> make_timer(std::function<void()> on_deadline) override;

 private:
  Thread& thread_;
  NodeClock& clock_;
};

class Post : public port::Post {
 public:
  explicit Post(Thread& thread) : thread_(thread) {}
  void post(std::function<void()> task) override;
  void at_end_of_turn(port::Phase phase, std::function<void()> task) override;

 private:
  Thread& thread_;
};

// Runs each job on `background`, a thread of the same node, some time after the one before it ended,
// then its `done` on `loop`. Jobs of two workers interleave.
class Worker : public port::Worker {
 public:
  struct JobTime {
    Duration shortest = 20 * microseconds;
    Duration longest = 5 * milliseconds;
  };
  // The next job of any worker that has it takes so much longer, once.
  struct Stall {
    Duration next = 0;
    uint64_t happened = 0;
    Instant until = -1;  // the last of them
  };

  Worker(Thread& loop, Thread& background, uint64_t number, JobTime job_time, Stall& stall);
  // Jobs that did not begin never do, and no `done` is called any more.
  ~Worker() override;
  void submit(std::function<void()> work, std::function<void()> done) override;
  // From within a job: it takes so much longer.
  static void prolong(Duration by);

 private:
  struct Queue;

  std::shared_ptr<Queue> queue_;
};

}  // namespace bop::sim

// Posting work: to a shard's loop from any thread, and from a shard to the worker threads.
#pragma once

#include <functional>

namespace bop::port {

class Post {
 public:
  virtual ~Post() = default;
  // Runs `task` on the loop's thread, after what was posted before from the same thread. Any
  // thread. Tasks posted after the loop stopped are destroyed without running.
  virtual void post(std::function<void()> task) = 0;
  // Runs `task` once at the end of the current turn, when every ready event of it was handled: where
  // a turn's writes and sends are submitted together. Loop's thread only.
  virtual void at_end_of_turn(std::function<void()> task) = 0;
};

// A queue of jobs that run one after the other, in order, on a worker thread: what a machine's
// offload stands on. Two queues may run at once.
class Worker {
 public:
  // Waits for the job under way and runs no further one; their `done` is not called.
  virtual ~Worker() = default;
  // Runs work() on the worker and then done() on the loop's thread. Loop's thread only.
  virtual void submit(std::function<void()> work, std::function<void()> done) = 0;
};

}  // namespace bop::port

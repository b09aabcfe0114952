// Posting work: to a shard's loop from any thread, and from a shard to the worker threads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>

namespace bop::port {

// The end of a turn, in order. Peers and the disk, which everybody waits for, get theirs before this
// thread applies and answers: they work while it does.
enum class Phase : uint8_t {
  step,    // what the turn gathered is looked at once; log and frames for peers gather
  submit,  // frames to peers, writes to the disk
  apply,   // what is committed is applied and answered
  reply,   // to clients
};
inline constexpr size_t phase_count = 4;

class Post {
 public:
  virtual ~Post() = default;
  // Runs `task` on the loop's thread, after what was posted before from the same thread. Any
  // thread. Tasks posted after the loop stopped are destroyed without running.
  virtual void post(std::function<void()> task) = 0;
  // Runs `task` once at the end of the current turn, when its events were handled: where a turn's
  // writes and sends are submitted together. In the order of phases and, within one, of the calls;
  // what a task adds runs in the same turn. Loop's thread only.
  virtual void at_end_of_turn(Phase phase, std::function<void()> task) = 0;
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

// Posting work: to a shard's loop from any thread, and from a shard to the worker threads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>

namespace bop::port {

// The phases of the end of a turn, in order. Frames and the log write are submitted before this thread
// applies entries and sends replies, so that peers and the disk work at the same time.
enum class Phase : uint8_t {
  step,    // each scheduled replica steps once: records for the log and frames for peers gather
  submit,  // frames are sent to peers, writes are submitted to the disk
  apply,   // committed entries are applied, requests are completed
  reply,   // replies are sent to clients
};
inline constexpr size_t phase_count = 4;

class Post {
 public:
  virtual ~Post() = default;
  // Runs `task` on the loop's thread, after the tasks that the same thread posted before. Any thread.
  // Tasks posted after the loop stopped are destroyed without running.
  virtual void post(std::function<void()> task) = 0;
  // Runs `task` once at the end of the current turn, after the turn's events were handled. Tasks run in
  // the order of their phases and, within a phase, of these calls; a task that another one adds runs in
  // the same turn. Loop's thread only.
  virtual void at_end_of_turn(Phase phase, std::function<void()> task) = 0;
};

// A queue of jobs that run in order, one at a time, on a worker thread; machines offload work to it. Two
// queues may run at once.
class Worker {
 public:
  // Waits for the job that is running and runs no further one. No `done` is called any more.
  virtual ~Worker() = default;
  // Runs work() on the worker and then done() on the loop's thread. Loop's thread only.
  virtual void submit(std::function<void()> work, std::function<void()> done) = 0;
};

}  // namespace bop::port

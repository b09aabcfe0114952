// A machine's jobs on its workers. When the machine closes, close() waits for the job that is running, and
// no other job runs, although some may still be in the workers' queues.
#pragma once

#include <functional>
#include <memory>

#include "machine/driver.h"

namespace bop::machine {

class WorkQueues {
 public:
  explicit WorkQueues(Offload& offload);
  ~WorkQueues();
  WorkQueues(const WorkQueues&) = delete;
  WorkQueues& operator=(const WorkQueues&) = delete;

  // `after` is called after each done().
  void submit(bop_work_queue queue, void (*work)(void*), void (*done)(void*), void* argument,
              std::function<void()> after);
  // Shard's thread. After it returns, no work and no done runs.
  void close();

 private:
  struct
      Gate;  // shared with jobs, which may be in a worker's queue for longer than the machine lives
  Offload& offload_;
  std::shared_ptr<Gate> gate_;
};

}  // namespace bop::machine

// A machine's jobs on its workers, until it closes: then the one under way is waited for and nothing
// of the rest runs, wherever it stands in the workers' queues.
#pragma once

#include <memory>

#include "machine/driver.h"

namespace bop::machine {

class WorkQueues {
 public:
  explicit WorkQueues(Offload& offload);
  ~WorkQueues();
  WorkQueues(const WorkQueues&) = delete;
  WorkQueues& operator=(const WorkQueues&) = delete;

  void submit(bop_work_queue queue, void (*work)(void*), void (*done)(void*), void* argument);
  // Shard's thread. Afterwards no work and no done runs.
  void close();

 private:
  struct Gate;  // shared with the jobs, which may outlive the machine in a worker's queue
  Offload& offload_;
  std::shared_ptr<Gate> gate_;
};

}  // namespace bop::machine

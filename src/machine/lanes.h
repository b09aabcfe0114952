// A machine's jobs on its workers, until it closes: then the one under way is waited for and nothing
// of the rest runs, wherever it stands in the workers' queues.
#pragma once

#include <memory>

#include "machine/driver.h"

namespace bop::machine {

class Lanes {
 public:
  explicit Lanes(Offload& offload);
  ~Lanes();
  Lanes(const Lanes&) = delete;
  Lanes& operator=(const Lanes&) = delete;

  void submit(bop_lane lane, void (*work)(void*), void (*done)(void*), void* argument);
  // Shard's thread. Afterwards no work and no done runs.
  void close();

 private:
  struct Gate;  // shared with the jobs, which may outlive the machine in a worker's queue
  Offload& offload_;
  std::shared_ptr<Gate> gate_;
};

}  // namespace bop::machine

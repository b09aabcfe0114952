// Workers that a test steps by hand: each step runs one work() or one done() of a queue, so that the test can
// stop between any two.
#pragma once

#include <algorithm>
#include <array>
#include <deque>
#include <functional>

#include "machine/driver.h"

namespace bop::machine {

class ManualOffload final : public Offload {
 public:
  void submit(WorkQueue queue, std::function<void()> work, std::function<void()> done) override {
    lanes_[static_cast<size_t>(queue)].jobs.push_back({std::move(work), std::move(done)});
  }

  size_t waiting(WorkQueue queue) const { return lanes_[static_cast<size_t>(queue)].jobs.size(); }
  bool idle() const {
    return std::ranges::all_of(lanes_, [](const State& lane) { return lane.jobs.empty(); });
  }

  // Runs the next step of a queue: work() of its first job, or done() of the one whose work() ran. False:
  // there is none.
  bool step(WorkQueue queue) {
    State& state = lanes_[static_cast<size_t>(queue)];
    if (state.jobs.empty()) return false;
    if (!state.worked) {
      state.worked = true;
      state.jobs.front().work();
      return true;
    }
    const auto done = std::move(state.jobs.front().done);
    state.jobs.pop_front();
    state.worked = false;
    done();
    return true;
  }
  void run() {
    while (step(WorkQueue::reads) || step(WorkQueue::writes) || step(WorkQueue::bulk)) {
    }
  }

 private:
  struct Job {
    std::function<void()> work, done;
  };
  struct State {
    std::deque<Job> jobs;
    bool worked = false;
  };
  std::array<State, 3> lanes_;
};

}  // namespace bop::machine

// The tasks at the end of a turn, by phase. Tasks of an earlier phase run first, also when a task of a
// later phase added them. For implementations of Post.
#pragma once

#include <array>
#include <functional>
#include <utility>
#include <vector>

#include "port/post.h"

namespace bop::port {

class EndOfTurn {
 public:
  void add(Phase phase, std::function<void()> task) {
    const auto at = static_cast<size_t>(phase);
    phases_[at].tasks.push_back(std::move(task));
    lowest_ = std::min(lowest_, at);
  }
  bool empty() const { return lowest_ == phases_.size(); }

  // Runs the next task. False: there was none.
  bool run_next() {
    while (!empty()) {
      Tasks& phase = phases_[lowest_];
      if (phase.next < phase.tasks.size()) {
        auto task = std::move(phase.tasks[phase.next++]);
        task();
        return true;
      }
      phase.tasks.clear();
      phase.next = 0;
      ++lowest_;
    }
    return false;
  }

 private:
  struct Tasks {
    std::vector<std::function<void()>>
        tasks;  // cleared, never freed: a turn allocates nothing here
    size_t next = 0;
  };
  std::array<Tasks, phase_count> phases_;
  size_t lowest_ = phase_count;  // the first phase that may have a task to run
};

}  // namespace bop::port

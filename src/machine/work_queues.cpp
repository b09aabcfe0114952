#include "machine/work_queues.h"

#include <condition_variable>
#include <mutex>
#include <utility>

namespace bop::machine {

struct WorkQueues::Gate {
  std::mutex mutex;
  std::condition_variable idle;
  unsigned running = 0;  // at most one a queue
  bool closed = false;

  bool enter() {
    std::lock_guard lock(mutex);
    if (closed) return false;
    ++running;
    return true;
  }
  void leave() {
    std::lock_guard lock(mutex);
    if (--running == 0) idle.notify_all();
  }
};

WorkQueues::WorkQueues(Offload& offload) : offload_(offload), gate_(std::make_shared<Gate>()) {}

WorkQueues::~WorkQueues() { close(); }

void WorkQueues::submit(bop_work_queue queue, void (*work)(void*), void (*done)(void*),
                        void* argument, std::function<void()> after) {
  offload_.submit(
      static_cast<Offload::WorkQueue>(queue),
      [gate = gate_, work, argument] {
        if (!gate->enter()) return;
        work(argument);
        gate->leave();
      },
      [gate = gate_, done, argument, after = std::move(after)] {
        if (gate->closed) return;
        done(argument);
        // close() is called on this thread, perhaps within done().
        if (!gate->closed) after();
      });
}

void WorkQueues::close() {
  std::unique_lock lock(gate_->mutex);
  gate_->closed = true;
  gate_->idle.wait(lock, [this] { return gate_->running == 0; });
}

}  // namespace bop::machine

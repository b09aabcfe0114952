#include "io/timer_heap.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "base/assert.h"

namespace bop::io {

namespace {
constexpr size_t nowhere = std::numeric_limits<size_t>::max();
}

class TimerHeap::HeapTimer final : public port::Timer {
 public:
  HeapTimer(TimerHeap& heap, std::function<void()> on_deadline)
      : heap_(heap), on_deadline_(std::move(on_deadline)) {}
  ~HeapTimer() override {
    leave_due();
    if (at != nowhere) heap_.remove(*this);
    if (alive_ != nullptr) *alive_ = false;
  }

  void arm(Instant new_deadline) override {
    leave_due();
    deadline = new_deadline;
    if (deadline == never) return;
    if (at == nowhere) {
      heap_.insert(*this);
    } else if (deadline < heap_.heap_[at].key) {
      heap_.heap_[at].key = deadline;
      heap_.move_up(at);
    }
  }

  void cancel() override { arm(never); }

  // The function may destroy this timer, and so itself; therefore it is moved to the stack.
  void call() {
    deadline = never;
    bool alive = true;
    alive_ = &alive;
    auto function = std::move(on_deadline_);
    function();
    if (!alive) return;
    alive_ = nullptr;
    on_deadline_ = std::move(function);
  }

  Instant deadline = never;
  size_t at = nowhere;  // index into the heap

 private:
  void leave_due() {
    std::replace(heap_.due_.begin(), heap_.due_.end(), this, static_cast<HeapTimer*>(nullptr));
  }

  TimerHeap& heap_;
  std::function<void()> on_deadline_;
  bool* alive_ = nullptr;  // set while call() runs: becomes false when the timer is destroyed
};

TimerHeap::~TimerHeap() { BOP_ASSERT(heap_.empty()); }

std::unique_ptr<port::Timer> TimerHeap::make(std::function<void()> on_deadline) {
  return std::make_unique<HeapTimer>(*this, std::move(on_deadline));
}

Instant TimerHeap::next_deadline() const { return heap_.empty() ? never : heap_.front().key; }

void TimerHeap::expire(Instant now) {
  BOP_ASSERT(due_.empty());
  while (next_deadline() <= now) {
    HeapTimer& timer = *heap_.front().timer;
    remove(timer);
    if (timer.deadline <= now) {
      due_.push_back(&timer);
    } else if (timer.deadline != never) {
      insert(timer);
    }
  }
  // By index: a timer that is destroyed or armed again while this runs becomes nullptr in the list.
  for (size_t i = 0; i < due_.size(); ++i) {
    if (HeapTimer* timer = std::exchange(due_[i], nullptr)) timer->call();
  }
  due_.clear();
}

void TimerHeap::insert(HeapTimer& timer) {
  heap_.push_back({timer.deadline, &timer});
  timer.at = heap_.size() - 1;
  move_up(timer.at);
}

void TimerHeap::remove(HeapTimer& timer) {
  const size_t at = std::exchange(timer.at, nowhere);
  const Entry last = heap_.back();
  heap_.pop_back();
  if (at == heap_.size()) return;
  put(at, last);
  move_up(at);
  move_down(last.timer->at);
}

void TimerHeap::put(size_t at, Entry entry) {
  heap_[at] = entry;
  entry.timer->at = at;
}

void TimerHeap::move_up(size_t at) {
  const Entry entry = heap_[at];
  while (at > 0) {
    const size_t parent = (at - 1) / 2;
    if (heap_[parent].key <= entry.key) break;
    put(at, heap_[parent]);
    at = parent;
  }
  put(at, entry);
}

void TimerHeap::move_down(size_t at) {
  const Entry entry = heap_[at];
  while (true) {
    size_t child = 2 * at + 1;
    if (child >= heap_.size()) break;
    if (child + 1 < heap_.size() && heap_[child + 1].key < heap_[child].key) ++child;
    if (entry.key <= heap_[child].key) break;
    put(at, heap_[child]);
    at = child;
  }
  put(at, entry);
}

}  // namespace bop::io

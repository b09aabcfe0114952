#include "sim/scheduler.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "base/checksum.h"

namespace bop::sim {

namespace {

// Tasks that leave tasks for ever would end no turn.
constexpr size_t max_end_of_turn = 100'000;

}  // namespace

Scheduler::~Scheduler() { BOP_ASSERT(threads_.empty()); }

Random Scheduler::random(std::string_view purpose, uint64_t number) const {
  std::vector<uint8_t> name(purpose.begin(), purpose.end());
  Writer(name).u64(number);
  return Random(hash64(name, seed_));
}

bool Scheduler::run_turn(Instant limit) {
  BOP_ASSERT_GE(limit, now_);
  Thread* first = nullptr;
  Instant begins = never;
  for (Thread* thread : threads_) {
    const Instant next = thread->next_turn();
    if (next < begins) {
      first = thread;
      begins = next;
    }
  }
  if (first == nullptr || begins > limit) {
    now_ = limit;
    return false;
  }
  now_ = std::max(now_, begins);
  first->run();
  return true;
}

void Scheduler::run_until(Instant limit) {
  while (run_turn(limit)) {
  }
}

Thread::Thread(Scheduler& scheduler, uint32_t number, TurnTime turn_time)
    : scheduler_(scheduler),
      number_(number),
      turn_time_(turn_time),
      random_(scheduler.random("turn time", number)) {
  auto& threads = scheduler_.threads_;
  const auto at = std::lower_bound(threads.begin(), threads.end(), number,
                                   [](Thread* t, uint32_t n) { return t->number_ < n; });
  BOP_ASSERT(at == threads.end() || (*at)->number_ != number);
  threads.insert(at, this);
}

Thread::~Thread() {
  clear();
  std::erase(scheduler_.threads_, this);
}

EventId Thread::at(Instant when, const char* what, Task task, uint64_t content) {
  BOP_ASSERT(task != nullptr);
  BOP_ASSERT_LT(when, never);
  uint32_t slot;
  if (free_.empty()) {
    slot = static_cast<uint32_t>(slots_.size());
    slots_.emplace_back();
  } else {
    slot = free_.back();
    free_.pop_back();
  }
  slots_[slot].task = std::move(task);
  slots_[slot].what = what;
  slots_[slot].content = content;
  push(slot, when);
  slots_[slot].id = slots_[slot].entry;
  return {slot, slots_[slot].id};
}

bool Thread::scheduled(EventId event) const {
  return event.id != 0 && event.slot < slots_.size() && slots_[event.slot].id == event.id;
}

void Thread::move(EventId event, Instant when) {
  BOP_ASSERT(scheduled(event));
  BOP_ASSERT_LT(when, never);
  if (when >= slots_[event.slot].due) {
    slots_[event.slot].due = when;
  } else {
    push(event.slot, when);
  }
}

void Thread::cancel(EventId event) {
  if (!scheduled(event)) return;
  const Task dying = std::move(slots_[event.slot].task);  // it may schedule or cancel as it dies
  free_slot(event.slot);
}

void Thread::stop_until(Instant when) { free_at_ = std::max(free_at_, when); }

void Thread::clear() {
  BOP_ASSERT(!in_turn_);
  const auto dying = std::exchange(slots_, {});
  const auto also_dying = std::exchange(end_of_turn_, {});
  free_.clear();
  queue_.clear();
  free_at_ = 0;
}

void Thread::push(uint32_t slot, Instant due) {
  const uint64_t sequence = ++scheduler_.sequence_;
  slots_[slot].due = due;
  slots_[slot].entry = sequence;
  queue_.push_back({due, sequence, slot});
  std::push_heap(queue_.begin(), queue_.end(), later);
}

void Thread::pop() {
  std::pop_heap(queue_.begin(), queue_.end(), later);
  queue_.pop_back();
}

void Thread::free_slot(uint32_t slot) {
  slots_[slot].task = nullptr;
  slots_[slot].id = 0;
  slots_[slot].entry = 0;
  free_.push_back(slot);
}

bool Thread::discard_stale_heads() {
  while (!queue_.empty()) {
    const Entry head = queue_.front();
    const Slot& slot = slots_[head.slot];
    if (slot.entry == head.sequence && slot.due == head.due) return true;
    pop();
    if (slot.entry == head.sequence) push(head.slot, slot.due);
  }
  return false;
}

Instant Thread::next_turn() {
  if (!discard_stale_heads()) return never;
  return std::max(queue_.front().due, free_at_);
}

void Thread::run() {
  in_turn_ = true;
  scheduler_.running_ = this;
  const uint64_t before_turn = scheduler_.sequence_;
  while (discard_stale_heads() && queue_.front().due <= now() &&
         queue_.front().sequence <= before_turn) {
    const uint32_t slot = queue_.front().slot;
    pop();
    const Task task = std::move(slots_[slot].task);
    scheduler_.trace_.note(now(), number_, slots_[slot].what, slots_[slot].content);
    free_slot(slot);
    task();
  }
  // What these leave in turn runs too, as on the real loop.
  for (size_t i = 0; end_of_turn_.run_next(); ++i) BOP_ASSERT_LT(i, max_end_of_turn);
  in_turn_ = false;
  scheduler_.running_ = nullptr;
  if (watch_) watch_();
  free_at_ = std::max(free_at_, now() + random_.between(turn_time_.shortest, turn_time_.longest));
}

}  // namespace bop::sim

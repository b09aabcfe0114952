// The timers of a loop, in a binary heap by deadline.
//
// Timers are re-armed far more often than they fire (every heartbeat puts off an election), so arming
// for later only notes the new deadline: the timer keeps its place in the heap under the old one, and
// is put back when that comes up. No system call is ever made for a timer; the loop waits until
// next_deadline().
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <vector>

#include "base/time.h"
#include "port/timer.h"

namespace bop::io {

class TimerHeap {
 public:
  TimerHeap() = default;
  TimerHeap(const TimerHeap&) = delete;
  TimerHeap& operator=(const TimerHeap&) = delete;
  ~TimerHeap();

  std::unique_ptr<port::Timer> make(std::function<void()> on_deadline);

  // The earliest instant at which expire() may have something to do; never when there is none.
  Instant next_deadline() const;
  // Calls the timers due at `now`; one that arms itself again for `now` waits for the next call.
  void expire(Instant now);

 private:
  class HeapTimer;
  struct Entry {
    Instant place;  // at most the timer's deadline
    HeapTimer* timer;
  };

  void insert(HeapTimer& timer);
  void remove(HeapTimer& timer);
  void move_up(size_t at);
  void move_down(size_t at);
  void put(size_t at, Entry entry);

  std::vector<Entry> heap_;
  std::vector<HeapTimer*> due_;  // of the expire() under way; a timer that goes away leaves a hole
};

}  // namespace bop::io

// The timers of a loop, in a binary heap by deadline.
//
// Timers are re-armed far more often than they fire (every heartbeat postpones an election), so arming one
// for a later deadline only stores the deadline: in the heap the timer keeps its old key, and when that
// comes up it is inserted again under the new one. Timers need no system calls; the loop waits until
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

  // The earliest instant at which expire() may have something to do; never: no timer is armed.
  Instant next_deadline() const;
  // Calls the timers that are due at `now`. One that arms itself again for `now` waits for the next call.
  void expire(Instant now);

 private:
  class HeapTimer;
  struct Entry {
    Instant key;  // at most the timer's deadline
    HeapTimer* timer;
  };

  void insert(HeapTimer& timer);
  void remove(HeapTimer& timer);
  void move_up(size_t at);
  void move_down(size_t at);
  void put(size_t at, Entry entry);

  std::vector<Entry> heap_;
  // The timers that the running expire() has still to call; nullptr: cancelled or destroyed meanwhile.
  std::vector<HeapTimer*> due_;
};

}  // namespace bop::io

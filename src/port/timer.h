// Timers of one shard's loop. All of it is used on that loop's thread.
#pragma once

#include <functional>
#include <memory>

#include "base/time.h"

namespace bop::port {

class Timer {
 public:
  // Destroying a timer cancels it.
  virtual ~Timer() = default;
  // Calls the function once, when the clock reaches `deadline` or soon after. Arming again replaces
  // the deadline; `never` and cancel() disarm.
  virtual void arm(Instant deadline) = 0;
  virtual void cancel() = 0;
};

class Timers {
 public:
  virtual ~Timers() = default;
  virtual std::unique_ptr<Timer> make_timer(std::function<void()> on_deadline) = 0;
};

}  // namespace bop::port

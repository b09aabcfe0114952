// Simulated time and threads: one queue of events a thread, and a scheduler that always runs the
// thread whose next event is due first.
//
// A turn of a thread is as a turn of the real loop: every event that is due when the turn begins is
// handled, in the order (due, scheduled), then what was left for the end of the turn runs. A turn
// takes time (its thread is busy for a while afterwards), so events gather while it lasts and nothing
// can go round for ever at one instant. A stopped process is a thread that is busy for long.
//
// Everything is a function of the seed: no host clock, no addresses, no unordered containers.
#pragma once

#include <cstdint>
#include <functional>
#include <string_view>
#include <vector>

#include "base/random.h"
#include "base/time.h"
#include "port/end_of_turn.h"
#include "sim/trace.h"

namespace bop::sim {

using Task = std::function<void()>;

// Names a scheduled event; stale once the event ran or was cancelled.
struct EventId {
  uint32_t slot = 0;
  uint64_t id = 0;  // 0: none
};

class Thread;

class Scheduler {
 public:
  explicit Scheduler(uint64_t seed) : seed_(seed) {}
  Scheduler(const Scheduler&) = delete;
  Scheduler& operator=(const Scheduler&) = delete;
  ~Scheduler();

  Instant now() const { return now_; }
  uint64_t seed() const { return seed_; }
  Trace& trace() { return trace_; }
  const Trace& trace() const { return trace_; }
  // The thread whose turn it is; nullptr: none's.
  const Thread* running() const { return running_; }
  // A stream of random numbers of its own for each purpose: drawing more for one changes no other.
  Random random(std::string_view purpose, uint64_t number = 0) const;

  // Runs the next turn that begins at or before `limit`. False: there is none, it is now `limit`.
  bool run_turn(Instant limit);
  void run_until(Instant limit);

 private:
  friend class Thread;

  const uint64_t seed_;
  Instant now_ = 0;
  uint64_t sequence_ = 0;
  Trace trace_;
  std::vector<Thread*> threads_;  // by number
  const Thread* running_ = nullptr;
};

class Thread {
 public:
  // How long a turn keeps the thread busy: uniform in [shortest, longest].
  struct TurnTime {
    Duration shortest = 0;
    Duration longest = 0;
  };

  // `number` is unique among the threads alive; the lower runs first when two are due together.
  Thread(Scheduler& scheduler, uint32_t number, TurnTime turn_time);
  Thread(const Thread&) = delete;
  Thread& operator=(const Thread&) = delete;
  ~Thread();

  uint32_t number() const { return number_; }
  Scheduler& scheduler() { return scheduler_; }
  Instant now() const { return scheduler_.now(); }

  // Runs `task` in a turn at `when` or, if that has passed or the thread is busy then, in the next.
  // `what` (static) and `content` go into the trace when it runs.
  EventId at(Instant when, const char* what, Task task, uint64_t content = 0);
  EventId after(Duration delay, const char* what, Task task, uint64_t content = 0) {
    return at(now() + delay, what, std::move(task), content);
  }
  // A scheduled event to another time; cheap when it is later.
  void move(EventId event, Instant when);
  void cancel(EventId event);
  bool scheduled(EventId event) const;

  // Once, when the events of the turn under way were handled; from outside a turn at the end of the next.
  void at_end_of_turn(port::Phase phase, Task task) { end_of_turn_.add(phase, std::move(task)); }

  // Runs after each turn, from outside of it: for who watches.
  void after_turns(Task watch) { watch_ = std::move(watch); }
  // No turn before `when`.
  void stop_until(Instant when);
  // Destroys all that was to run here; it is not busy any more. Not from within a turn of it.
  void clear();

 private:
  friend class Scheduler;

  struct Slot {
    Task task;
    const char* what = nullptr;
    uint64_t content = 0;
    Instant due = 0;
    uint64_t id = 0;     // 0: free
    uint64_t entry = 0;  // the sequence of the queue's entry that stands for it
  };
  // Stale when its slot has another `entry` by now; early when the slot is due later.
  struct Entry {
    Instant due;
    uint64_t sequence;
    uint32_t slot;
  };
  static bool later(const Entry& a, const Entry& b) {
    return a.due != b.due ? a.due > b.due : a.sequence > b.sequence;
  }

  void push(uint32_t slot, Instant due);
  void pop();
  void free_slot(uint32_t slot);
  // Drops stale entries from the head and moves early ones; false: nothing is scheduled.
  bool discard_stale_heads();
  // When the next turn begins; `never` when nothing is scheduled.
  Instant next_turn();
  void run();

  Scheduler& scheduler_;
  const uint32_t number_;
  const TurnTime turn_time_;
  Random random_;
  std::vector<Slot> slots_;
  std::vector<uint32_t> free_;
  std::vector<Entry> queue_;  // a heap
  port::EndOfTurn end_of_turn_;
  Task watch_;
  Instant free_at_ = 0;
  bool in_turn_ = false;
};

}  // namespace bop::sim

#include "sim/scheduler.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace bop::sim {
namespace {

TEST(Scheduler, events_run_in_the_order_they_are_due_and_then_in_the_order_they_were_scheduled) {
  Scheduler scheduler(1);
  Thread thread(scheduler, 1, {});
  std::string order;
  thread.at(20, "b", [&] { order += 'b'; });
  thread.at(10, "a", [&] { order += 'a'; });
  thread.at(20, "c", [&] { order += 'c'; });
  scheduler.run_until(30);
  EXPECT_EQ(order, "abc");
  EXPECT_EQ(scheduler.now(), 30);
}

TEST(Scheduler, nothing_runs_before_it_is_due_or_after_the_limit) {
  Scheduler scheduler(1);
  Thread thread(scheduler, 1, {});
  std::vector<Instant> ran;
  thread.at(100, "x", [&] { ran.push_back(scheduler.now()); });
  scheduler.run_until(99);
  EXPECT_TRUE(ran.empty());
  scheduler.run_until(100);
  EXPECT_EQ(ran, std::vector<Instant>{100});
}

TEST(Scheduler, of_two_threads_due_together_the_lower_number_runs_first) {
  Scheduler scheduler(1);
  Thread second(scheduler, 2, {});
  Thread first(scheduler, 1, {});
  std::string order;
  second.at(5, "x", [&] { order += '2'; });
  first.at(5, "x", [&] { order += '1'; });
  scheduler.run_until(5);
  EXPECT_EQ(order, "12");
}

TEST(Scheduler, a_purpose_has_random_numbers_of_its_own) {
  const Scheduler scheduler(7);
  Random disk = scheduler.random("disk", 1);
  EXPECT_EQ(disk.next(), scheduler.random("disk", 1).next());
  EXPECT_NE(scheduler.random("disk", 1).next(), scheduler.random("disk", 2).next());
  EXPECT_NE(scheduler.random("disk", 1).next(), scheduler.random("network", 1).next());
  EXPECT_NE(scheduler.random("disk", 1).next(), Scheduler(8).random("disk", 1).next());
}

TEST(Turn, handles_all_that_is_due_and_then_what_was_left_for_its_end) {
  Scheduler scheduler(1);
  Thread thread(scheduler, 1, {});
  std::string order;
  thread.at(10, "a", [&] {
    order += 'a';
    thread.at_end_of_turn(port::Phase::step, [&] { order += 'E'; });
  });
  thread.at(10, "b", [&] { order += 'b'; });
  EXPECT_TRUE(scheduler.run_turn(10));
  EXPECT_EQ(order, "abE");
}

TEST(Turn, what_it_schedules_for_now_waits_for_the_next_turn) {
  Scheduler scheduler(1);
  Thread thread(scheduler, 1, {});
  std::string order;
  thread.at(10, "a", [&] {
    thread.at(0, "b", [&] { order += 'b'; });
    thread.at_end_of_turn(port::Phase::step, [&] { order += 'E'; });
  });
  EXPECT_TRUE(scheduler.run_turn(10));
  EXPECT_EQ(order, "E");
  EXPECT_TRUE(scheduler.run_turn(10));
  EXPECT_EQ(order, "Eb");
  EXPECT_FALSE(scheduler.run_turn(10));
}

TEST(Turn, keeps_its_thread_busy_and_later_events_gather) {
  Scheduler scheduler(1);
  Thread thread(scheduler, 1, {50, 50});
  std::vector<Instant> ran;
  for (const Instant due : {10, 20, 30}) {
    thread.at(due, "x", [&] { ran.push_back(scheduler.now()); });
  }
  scheduler.run_until(1000);
  EXPECT_EQ(ran, (std::vector<Instant>{10, 60, 60}));
}

TEST(Turn, a_stopped_thread_handles_everything_at_once_when_it_goes_on) {
  Scheduler scheduler(1);
  Thread thread(scheduler, 1, {});
  std::vector<Instant> ran;
  for (const Instant due : {10, 20, 30}) {
    thread.at(due, "x", [&] { ran.push_back(scheduler.now()); });
  }
  thread.stop_until(500);
  scheduler.run_until(1000);
  EXPECT_EQ(ran, (std::vector<Instant>{500, 500, 500}));
}

TEST(Event, cancelled_does_not_run_and_its_name_does_not_reach_a_later_one) {
  Scheduler scheduler(1);
  Thread thread(scheduler, 1, {});
  int ran = 0;
  const EventId old = thread.at(10, "x", [&] { ran += 1; });
  thread.cancel(old);
  EXPECT_FALSE(thread.scheduled(old));
  const EventId next = thread.at(10, "x", [&] { ran += 10; });
  thread.cancel(old);
  EXPECT_TRUE(thread.scheduled(next));
  scheduler.run_until(10);
  EXPECT_EQ(ran, 10);
}

TEST(Event, moves_later_and_earlier) {
  Scheduler scheduler(1);
  Thread thread(scheduler, 1, {});
  std::vector<Instant> ran;
  const EventId event = thread.at(10, "x", [&] { ran.push_back(scheduler.now()); });
  thread.move(event, 40);
  scheduler.run_until(20);
  EXPECT_TRUE(ran.empty());
  thread.move(event, 30);
  scheduler.run_until(100);
  EXPECT_EQ(ran, std::vector<Instant>{30});
}

TEST(Event, all_of_a_cleared_thread_are_gone) {
  Scheduler scheduler(1);
  Thread thread(scheduler, 1, {});
  int ran = 0;
  const EventId old = thread.at(10, "x", [&] { ++ran; });
  thread.at_end_of_turn(port::Phase::step, [&] { ++ran; });
  thread.clear();
  EXPECT_FALSE(thread.scheduled(old));
  const EventId next = thread.at(10, "y", [] {});
  thread.cancel(old);
  EXPECT_TRUE(thread.scheduled(next));
  scheduler.run_until(10);
  EXPECT_EQ(ran, 0);
}

uint64_t trace_of(uint64_t seed) {
  Scheduler scheduler(seed);
  Thread one(scheduler, 1, {1, 20});
  Thread two(scheduler, 2, {1, 20});
  Random random = scheduler.random("test");
  int left = 1000;
  std::function<void()> go = [&] {
    if (--left < 0) return;
    Thread& thread = random.chance(1, 2) ? one : two;
    thread.after(random.between(0, 50), "go", go, random.next());
  };
  one.at(0, "go", go);
  two.at(0, "go", go);
  scheduler.run_until(1'000'000);
  return scheduler.trace().hash();
}

TEST(Trace, is_equal_for_equal_seeds_and_differs_between_seeds) {
  EXPECT_EQ(trace_of(3), trace_of(3));
  EXPECT_NE(trace_of(3), trace_of(4));
}

TEST(Trace, depends_on_who_what_when_and_content) {
  const auto note = [](Instant when, uint32_t who, const char* what, uint64_t content) {
    Trace trace;
    trace.note(when, who, what, content);
    return trace.hash();
  };
  const uint64_t hash = note(1, 2, "x", 3);
  EXPECT_EQ(note(1, 2, "x", 3), hash);
  EXPECT_NE(note(2, 2, "x", 3), hash);
  EXPECT_NE(note(1, 3, "x", 3), hash);
  EXPECT_NE(note(1, 2, "y", 3), hash);
  EXPECT_NE(note(1, 2, "x", 4), hash);
}

}  // namespace
}  // namespace bop::sim

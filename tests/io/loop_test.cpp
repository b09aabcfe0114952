#include "io/loop.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/random.h"
#include "io/worker.h"

namespace bop::io {
namespace {

constexpr Duration long_enough = 60 * seconds;

TEST(Loop, runs_what_was_posted_in_order) {
  Loop loop;
  std::vector<int> ran;
  for (int i = 0; i < 3; ++i) loop.post([&, i] { ran.push_back(i); });
  EXPECT_TRUE(ran.empty());
  loop.run_turn();
  EXPECT_EQ(ran, (std::vector<int>{0, 1, 2}));
}

TEST(Loop, a_task_posted_by_a_task_runs_in_the_next_turn) {
  Loop loop;
  uint64_t first = 0, second = 0;
  loop.post([&] {
    first = loop.turns();
    loop.post([&] { second = loop.turns(); });
  });
  EXPECT_TRUE(loop.run_until([&] { return second > 0; }, long_enough));
  EXPECT_EQ(second, first + 1);
}

TEST(Loop, posts_of_other_threads_wake_it_and_keep_each_threads_order) {
  constexpr int threads = 4, tasks = 5000;
  Loop loop;
  std::vector<int> next(threads);
  int ran = 0;
  std::vector<std::thread> posters;
  for (int thread = 0; thread < threads; ++thread) {
    posters.emplace_back([&, thread] {
      for (int i = 0; i < tasks; ++i) {
        loop.post([&, thread, i] {
          EXPECT_EQ(next[thread]++, i);
          ++ran;
        });
      }
    });
  }
  EXPECT_TRUE(loop.run_until([&] { return ran == threads * tasks; }, long_enough));
  for (auto& poster : posters) poster.join();
}

TEST(Loop, the_end_of_a_turn_comes_after_all_its_handlers_and_tasks) {
  Loop loop;
  std::string order;
  loop.at_end_of_turn(port::Phase::step, [&] { order += 'e'; });
  loop.post([&] { order += 'p'; });
  boost::asio::post(loop.context(), [&] { order += 'h'; });
  loop.run_turn();
  EXPECT_EQ(order, "hpe");
}

TEST(Loop, what_the_end_of_a_turn_adds_runs_in_the_same_phase) {
  Loop loop;
  std::vector<uint64_t> turns;
  loop.at_end_of_turn(port::Phase::step, [&] {
    turns.push_back(loop.turns());
    loop.at_end_of_turn(port::Phase::step, [&] { turns.push_back(loop.turns()); });
  });
  loop.run_turn();
  EXPECT_EQ(turns, (std::vector<uint64_t>{1, 1}));
}

TEST(Loop, phases_run_in_order_whatever_adds_their_tasks) {
  Loop loop;
  std::string order;
  loop.at_end_of_turn(port::Phase::reply, [&] { order += 'r'; });
  loop.at_end_of_turn(port::Phase::apply, [&] {
    order += 'a';
    loop.at_end_of_turn(port::Phase::submit, [&] { order += 'S'; });
    loop.at_end_of_turn(port::Phase::step, [&] { order += 'T'; });
    loop.at_end_of_turn(port::Phase::apply, [&] { order += 'A'; });
  });
  loop.at_end_of_turn(port::Phase::submit, [&] { order += 's'; });
  loop.at_end_of_turn(port::Phase::step, [&] { order += 't'; });
  loop.run_turn();
  EXPECT_EQ(order, "tsaTSAr");
}

TEST(Loop, a_turn_ends_although_more_events_are_ready) {
  Loop loop;
  size_t handled = 0, at_end = 0;
  for (size_t i = 0; i < 1000; ++i) boost::asio::post(loop.context(), [&] { ++handled; });
  loop.at_end_of_turn(port::Phase::step, [&] { at_end = handled; });
  loop.run_turn();
  EXPECT_GT(at_end, 0u);
  EXPECT_LT(at_end, 1000u);
  EXPECT_TRUE(loop.run_until([&] { return handled == 1000; }, long_enough));
}

TEST(Loop, now_is_constant_within_a_turn) {
  Loop loop;
  std::optional<Instant> first, second;
  loop.post([&] {
    first = loop.now();
    const Instant before = Loop::read_clock();
    while (Loop::read_clock() == before) {
    }
  });
  loop.at_end_of_turn(port::Phase::step, [&] { second = loop.now(); });
  loop.run_turn();
  EXPECT_EQ(first, second);
  loop.run_turn(loop.now());
  EXPECT_GT(loop.now(), *second);
}

TEST(Loop, stop_from_another_thread_ends_run_after_what_was_posted_before) {
  Loop loop;
  bool ran = false;
  std::thread stopper([&] {
    loop.post([&] { ran = true; });
    loop.stop();
  });
  loop.run();
  stopper.join();
  EXPECT_TRUE(ran);
}

TEST(Loop, tasks_posted_after_it_stopped_are_destroyed_without_running) {
  auto token = std::make_shared<int>();
  bool ran = false;
  {
    Loop loop;
    loop.stop();
    loop.run();
    loop.post([&, token] { ran = true; });
    std::thread([&] { loop.post([&, token] { ran = true; }); }).join();
    EXPECT_EQ(token.use_count(), 3);
  }
  EXPECT_FALSE(ran);
  EXPECT_EQ(token.use_count(), 1);
}

TEST(Timer, fires_once_at_its_deadline_and_not_before) {
  Loop loop;
  int fired = 0;
  auto timer = loop.make_timer([&] { ++fired; });
  const Instant deadline = loop.now() + 5 * milliseconds;
  timer->arm(deadline);
  EXPECT_TRUE(loop.run_until([&] { return fired > 0; }, long_enough));
  EXPECT_GE(Loop::read_clock(), deadline);
  loop.run_until([] { return false; }, 10 * milliseconds);
  EXPECT_EQ(fired, 1);
}

TEST(Timer, timers_fire_in_the_order_of_their_deadlines) {
  Loop loop;
  std::vector<int> fired;
  std::vector<std::unique_ptr<port::Timer>> timers;
  const Instant start = loop.now();
  for (int i : {5, 1, 4, 2, 3, 0}) {
    timers.push_back(loop.make_timer([&, i] { fired.push_back(i); }));
    timers.back()->arm(start + i * 3 * milliseconds);
  }
  EXPECT_TRUE(loop.run_until([&] { return fired.size() == 6; }, long_enough));
  EXPECT_EQ(fired, (std::vector<int>{0, 1, 2, 3, 4, 5}));
}

TEST(Timer, arming_again_replaces_the_deadline_both_ways) {
  Loop loop;
  std::string fired;
  auto put_off = loop.make_timer([&] { fired += 'o'; });
  auto brought_forward = loop.make_timer([&] { fired += 'f'; });
  auto middle = loop.make_timer([&] { fired += 'm'; });
  const Instant start = loop.now();
  put_off->arm(start + 1 * milliseconds);
  brought_forward->arm(start + 3600 * seconds);
  middle->arm(start + 8 * milliseconds);
  put_off->arm(start + 16 * milliseconds);
  brought_forward->arm(start + 2 * milliseconds);
  EXPECT_TRUE(loop.run_until([&] { return fired.size() == 3; }, long_enough));
  EXPECT_EQ(fired, "fmo");
}

TEST(Timer, a_cancelled_or_destroyed_timer_does_not_fire) {
  Loop loop;
  bool wrong = false, end = false;
  auto cancelled = loop.make_timer([&] { wrong = true; });
  auto disarmed = loop.make_timer([&] { wrong = true; });
  auto destroyed = loop.make_timer([&] { wrong = true; });
  auto last = loop.make_timer([&] { end = true; });
  for (auto* timer : {cancelled.get(), disarmed.get(), destroyed.get()}) timer->arm(loop.now() + 1);
  last->arm(loop.now() + 2 * milliseconds);
  cancelled->cancel();
  disarmed->arm(never);
  destroyed.reset();
  EXPECT_TRUE(loop.run_until([&] { return end; }, long_enough));
  EXPECT_FALSE(wrong);
}

TEST(Timer, a_timer_may_cancel_destroy_and_arm_others_due_at_the_same_time) {
  Loop loop;
  std::string fired;
  std::unique_ptr<port::Timer> cancelled, destroyed, again;
  auto first = loop.make_timer([&] {
    fired += '1';
    cancelled->cancel();
    destroyed.reset();
    again->arm(loop.now());
  });
  cancelled = loop.make_timer([&] { fired += 'c'; });
  destroyed = loop.make_timer([&] { fired += 'd'; });
  again = loop.make_timer([&] { fired += 'a'; });
  const Instant past = loop.now() - 10;
  first->arm(past);
  cancelled->arm(past + 1);
  destroyed->arm(past + 2);
  again->arm(past + 3);
  loop.run_turn();
  EXPECT_EQ(fired, "1");
  loop.run_turn();
  EXPECT_EQ(fired, "1a");
}

TEST(Timer, a_timer_may_destroy_itself) {
  Loop loop;
  bool fired = false;
  std::unique_ptr<port::Timer> timer;
  timer = loop.make_timer([&, kept = std::make_shared<int>(7)] {
    timer.reset();
    fired = *kept == 7;
  });
  timer->arm(loop.now());
  loop.run_turn();
  EXPECT_TRUE(fired);
}

TEST(Timer, one_that_always_arms_itself_for_now_does_not_starve_the_others) {
  Loop loop;
  bool posted = false;
  std::unique_ptr<port::Timer> timer;
  timer = loop.make_timer([&] { timer->arm(loop.now()); });
  timer->arm(loop.now());
  loop.post([&] { posted = true; });
  EXPECT_TRUE(loop.run_until([&] { return posted; }, long_enough));
}

TEST(Timer, a_random_history_fires_each_timer_exactly_at_its_last_deadline) {
  Loop loop;
  Random random(42);
  struct One {
    std::unique_ptr<port::Timer> timer;
    Instant deadline = never;
    int fired = 0;
  };
  std::vector<One> all(100);
  for (One& one : all) {
    one.timer = loop.make_timer([&] {
      EXPECT_LE(one.deadline, loop.now());
      ++one.fired;
      one.deadline = never;
    });
  }
  for (int step = 0; step < 20000; ++step) {
    One& one = all[random.below(all.size())];
    switch (random.below(4)) {
      case 0:
        one.timer->cancel();
        one.deadline = never;
        break;
      case 1: loop.run_turn(loop.now()); break;
      default:
        one.deadline = loop.now() + random.between(0, 200 * microseconds);
        one.timer->arm(one.deadline);
    }
  }
  EXPECT_TRUE(loop.run_until(
      [&] {
        for (One& one : all) {
          if (one.deadline != never) return false;
        }
        return true;
      },
      long_enough));
  int fired = 0;
  for (One& one : all) fired += one.fired;
  EXPECT_GT(fired, 100);
}

TEST(Worker, jobs_run_in_order_on_another_thread_and_end_on_the_loop) {
  Loop loop;
  auto worker = make_worker(loop, "test-worker").value();
  const auto here = std::this_thread::get_id();
  std::vector<int> worked, done;
  for (int i = 0; i < 100; ++i) {
    worker->submit(
        [&, i] {
          EXPECT_NE(std::this_thread::get_id(), here);
          worked.push_back(i);
        },
        [&, i] {
          EXPECT_EQ(std::this_thread::get_id(), here);
          done.push_back(i);
        });
  }
  EXPECT_TRUE(loop.run_until([&] { return done.size() == 100; }, long_enough));
  EXPECT_EQ(worked, done);
  EXPECT_TRUE(std::is_sorted(done.begin(), done.end()));
}

TEST(Worker, its_destructor_waits_for_the_running_job_and_runs_no_further_one) {
  // The job may be released just before the worker ends; then the second one runs, rightly.
  bool second = true;
  for (int attempt = 0; second && attempt < 1000; ++attempt) {
    Loop loop;
    auto worker = make_worker(loop, "test-worker").value();
    std::atomic<bool> started = false, release = false;
    bool finished = false, told = false;
    second = false;
    worker->submit(
        [&] {
          started = true;
          started.notify_one();
          release.wait(false);
          finished = true;
        },
        [&] { told = true; });
    worker->submit([&] { second = true; }, [&] { told = true; });
    started.wait(false);
    std::thread releaser([&] {
      release = true;
      release.notify_one();
    });
    worker.reset();
    releaser.join();
    EXPECT_TRUE(finished);
    loop.run_turn(loop.now());
    EXPECT_FALSE(told);
  }
  EXPECT_FALSE(second);
}

}  // namespace
}  // namespace bop::io

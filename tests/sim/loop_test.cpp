#include "sim/loop.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace bop::sim {
namespace {

struct Loop : testing::Test {
  Scheduler scheduler{1};
  Thread thread{scheduler, 1, {}};
  Thread background{scheduler, 101, {}};
  Worker::Stall stall;
};

using SimulatedClock = Loop;
using SimulatedTimer = Loop;
using SimulatedPost = Loop;
using SimulatedWorker = Loop;

TEST_F(SimulatedClock, drifts_by_parts_per_million) {
  const NodeClock fast(scheduler, 5 * seconds, 200);
  const NodeClock slow(scheduler, 0, -200);
  scheduler.run_until(100 * seconds);
  EXPECT_EQ(fast.now(), 105 * seconds + 20 * milliseconds);
  EXPECT_EQ(slow.now(), 100 * seconds - 20 * milliseconds);
}

TEST_F(SimulatedClock, leads_back_to_the_first_instant_that_shows_a_time) {
  for (const int64_t drift : {-100'000, -37, 0, 1, 99'999}) {
    const NodeClock clock(scheduler, 123, drift);
    for (const Instant shown : {Instant{124}, Instant{1'000'003}, 60 * seconds + 7}) {
      const Instant at = clock.simulated(shown);
      EXPECT_GE(clock.local(at), shown);
      EXPECT_LT(clock.local(at - 1), shown);
    }
  }
}

TEST_F(SimulatedClock, wall_jumps_do_not_move_the_monotonic_clock) {
  NodeClock clock(scheduler, 0, 0);
  clock.jump_wall(-3600 * seconds);
  EXPECT_EQ(clock.now(), 0);
  EXPECT_EQ(clock.wall_ns(), NodeClock::wall_begins_ns - 3600 * seconds);
}

TEST_F(SimulatedClock, does_not_jump_when_its_drift_changes) {
  NodeClock clock(scheduler, 0, 1000);
  scheduler.run_until(10 * seconds);
  const Instant before = clock.now();
  clock.set_drift(-1000);
  EXPECT_EQ(clock.now(), before);
}

TEST_F(SimulatedTimer, fires_once_when_the_nodes_own_clock_reaches_the_deadline) {
  NodeClock clock(scheduler, 1 * seconds, 500);
  Timers timers(thread, clock);
  std::vector<Instant> fired;
  const auto timer = timers.make_timer([&] { fired.push_back(clock.now()); });
  timer->arm(3 * seconds);
  scheduler.run_until(1 * seconds);
  EXPECT_TRUE(fired.empty());
  scheduler.run_until(10 * seconds);
  ASSERT_EQ(fired.size(), 1u);
  EXPECT_GE(fired[0], 3 * seconds);
  EXPECT_LE(fired[0], 3 * seconds + 2);
}

TEST_F(SimulatedTimer, arming_again_replaces_the_deadline) {
  NodeClock clock(scheduler, 0, 0);
  Timers timers(thread, clock);
  std::vector<Instant> fired;
  const auto timer = timers.make_timer([&] { fired.push_back(clock.now()); });
  timer->arm(10);
  timer->arm(30);
  scheduler.run_until(20);
  EXPECT_TRUE(fired.empty());
  timer->arm(25);
  scheduler.run_until(100);
  EXPECT_EQ(fired, std::vector<Instant>{25});
  timer->arm(50);  // passed: soon
  scheduler.run_until(101);
  EXPECT_EQ(fired.size(), 2u);
}

TEST_F(SimulatedTimer, does_not_fire_after_cancel_never_or_destruction) {
  NodeClock clock(scheduler, 0, 0);
  Timers timers(thread, clock);
  int fired = 0;
  const auto cancelled = timers.make_timer([&] { ++fired; });
  const auto disarmed = timers.make_timer([&] { ++fired; });
  auto destroyed = timers.make_timer([&] { ++fired; });
  for (port::Timer* timer : {cancelled.get(), disarmed.get(), destroyed.get()}) timer->arm(10);
  cancelled->cancel();
  disarmed->arm(never);
  destroyed.reset();
  scheduler.run_until(100);
  EXPECT_EQ(fired, 0);
}

TEST_F(SimulatedPost, runs_in_order_in_a_later_turn) {
  Post post(thread);
  std::string order;
  post.post([&] {
    order += 'a';
    post.post([&] { order += 'c'; });
    post.at_end_of_turn(port::Phase::step, [&] { order += 'E'; });
  });
  post.post([&] { order += 'b'; });
  scheduler.run_until(10);
  EXPECT_EQ(order, "abEc");
}

TEST_F(SimulatedWorker, takes_longer_for_one_job_that_is_stalled) {
  Worker worker(thread, background, 1, {10, 10}, stall);
  stall.next = 1000;
  std::string order;
  worker.submit([&] { order += '1'; }, [&] { order += 'a'; });
  worker.submit([&] { order += '2'; }, [&] { order += 'b'; });
  scheduler.run_until(1009);
  EXPECT_EQ(order, "");
  scheduler.run_until(1010);
  EXPECT_EQ(order, "1a");
  scheduler.run_until(1020);
  EXPECT_EQ(order, "1a2b");
  EXPECT_EQ(stall.happened, 1u);
  EXPECT_EQ(stall.until, 1010);
}

TEST_F(SimulatedWorker,
       delivers_a_job_that_prolongs_itself_later_and_the_next_one_begins_after_it) {
  Worker worker(thread, background, 1, {10, 10}, stall);
  std::string order;
  worker.submit(
      [&] {
        order += '1';
        Worker::prolong(100);
      },
      [&] { order += 'a'; });
  worker.submit([&] { order += '2'; }, [&] { order += 'b'; });
  scheduler.run_until(109);
  EXPECT_EQ(order, "1");
  scheduler.run_until(110);
  EXPECT_EQ(order, "1a");
  scheduler.run_until(120);
  EXPECT_EQ(order, "1a2b");
}

TEST_F(SimulatedWorker, runs_jobs_one_after_the_other_and_then_their_done_on_the_loop) {
  Worker worker(thread, background, 1, {10, 10}, stall);
  std::string order;
  worker.submit([&] { order += '1'; }, [&] { order += 'a'; });
  worker.submit([&] { order += '2'; }, [&] { order += 'b'; });
  EXPECT_EQ(order, "");
  scheduler.run_until(10);
  EXPECT_EQ(order, "1a");
  scheduler.run_until(20);
  EXPECT_EQ(order, "1a2b");
}

TEST_F(SimulatedWorker, destroyed_runs_nothing_more) {
  int ran = 0;
  {
    Worker worker(thread, background, 1, {10, 10}, stall);
    worker.submit([&] { ++ran; }, [&] { ++ran; });
    worker.submit([&] { ++ran; }, [&] { ++ran; });
  }
  scheduler.run_until(1000);
  EXPECT_EQ(ran, 0);
}

TEST_F(SimulatedWorker, destroyed_after_the_work_does_not_call_its_done) {
  int work = 0;
  int done = 0;
  auto worker = std::make_unique<Worker>(thread, background, 1, Worker::JobTime{10, 10}, stall);
  worker->submit([&] { ++work; }, [&] { ++done; });
  thread.stop_until(100);
  scheduler.run_until(50);
  worker.reset();
  scheduler.run_until(1000);
  EXPECT_EQ(work, 1);
  EXPECT_EQ(done, 0);
}

}  // namespace
}  // namespace bop::sim

#include "node/liveness.h"

#include <gtest/gtest.h>

namespace bop::node {
namespace {

class ManualClock final : public port::Clock {
 public:
  Instant now() const override { return now_; }
  int64_t wall_ns() const override { return now_; }
  Instant now_ = 0;
};

// One timer, fired by hand.
class ManualTimers final : public port::Timers {
 public:
  class ManualTimer final : public port::Timer {
   public:
    explicit ManualTimer(std::function<void()> fire) : fire_(std::move(fire)) {}
    void arm(Instant deadline) override { deadline_ = deadline; }
    void cancel() override { deadline_ = never; }
    std::function<void()> fire_;
    Instant deadline_ = never;
  };
  std::unique_ptr<port::Timer> make_timer(std::function<void()> on_deadline) override {
    auto timer = std::make_unique<ManualTimer>(std::move(on_deadline));
    timer_ = timer.get();
    return timer;
  }
  ManualTimer* timer_ = nullptr;
};

class LivenessTest : public testing::Test, public Liveness::Listener {
 protected:
  LivenessTest()
      : liveness_({.peers = {2, 3}, .epoch = 5, .interval = 100, .timeout = 1000}, clock_, timers_,
                  *this) {
    liveness_.set_healthy_shards(1);
    liveness_.start();
  }
  void send_heartbeat(NodeId to, const Heartbeat& heartbeat) override {
    sent_.emplace_back(to, heartbeat);
  }
  void node_lost(NodeId node) override { lost_.push_back(node); }
  void node_alive(NodeId node) override { alive_.push_back(node); }

  void run_until(Instant end) {
    while (timers_.timer_->deadline_ <= end) {
      clock_.now_ = timers_.timer_->deadline_;
      timers_.timer_->fire_();
    }
    clock_.now_ = end;
  }

  ManualClock clock_;
  ManualTimers timers_;
  std::vector<std::pair<NodeId, Heartbeat>> sent_;
  std::vector<NodeId> lost_;
  std::vector<NodeId> alive_;
  Liveness liveness_;
};

TEST_F(LivenessTest, each_peer_gets_one_heartbeat_an_interval) {
  sent_.clear();
  run_until(300);
  ASSERT_EQ(sent_.size(), 6u);
  EXPECT_EQ(sent_[0].first, 2u);
  EXPECT_EQ(sent_[1].first, 3u);
  EXPECT_EQ(sent_[0].second.epoch, 5u);
  EXPECT_EQ(sent_[0].second.healthy_shards, 1u);
}

TEST_F(LivenessTest, a_node_not_heard_for_a_timeout_is_lost_once) {
  liveness_.heard(2, {.epoch = 1, .healthy_shards = 1});
  EXPECT_TRUE(liveness_.alive(2));
  run_until(5000);
  EXPECT_EQ(lost_, std::vector<NodeId>{2});
  EXPECT_FALSE(liveness_.alive(2));
}

TEST_F(LivenessTest, a_node_that_is_heard_stays) {
  for (Instant at = 0; at <= 5000; at += 500) {
    run_until(at);
    liveness_.heard(2, {.epoch = 1, .healthy_shards = 1});
  }
  EXPECT_TRUE(lost_.empty());
}

TEST_F(LivenessTest, a_node_is_alive_when_it_is_heard_first_and_again_after_it_was_lost) {
  liveness_.heard(2, {.epoch = 1, .healthy_shards = 1});
  liveness_.heard(2, {.epoch = 1, .healthy_shards = 1});
  EXPECT_EQ(alive_, std::vector<NodeId>{2});
  liveness_.disconnected(2);
  liveness_.heard(2, {.epoch = 1, .healthy_shards = 1});
  EXPECT_EQ(alive_, (std::vector<NodeId>{2, 2}));
  liveness_.heard(2, {.epoch = 2, .healthy_shards = 1});  // it restarted: lost and alive
  EXPECT_EQ(lost_, (std::vector<NodeId>{2, 2}));
  EXPECT_EQ(alive_, (std::vector<NodeId>{2, 2, 2}));
}

TEST_F(LivenessTest, a_restart_ends_what_was_believed_of_the_node) {
  liveness_.heard(3, {.epoch = 1, .healthy_shards = 1});
  liveness_.heard(3, {.epoch = 2, .healthy_shards = 1});
  EXPECT_EQ(lost_, std::vector<NodeId>{3});
  EXPECT_TRUE(liveness_.alive(3));
}

TEST_F(LivenessTest, a_heartbeat_from_before_a_restart_is_ignored) {
  liveness_.heard(3, {.epoch = 2, .healthy_shards = 1});
  liveness_.heard(3, {.epoch = 1, .healthy_shards = 1});
  EXPECT_TRUE(lost_.empty());
}

TEST_F(LivenessTest, a_lost_node_that_restarts_without_the_log_of_the_highest_epoch_is_alive) {
  liveness_.heard(3, {.epoch = 7, .healthy_shards = 3});
  liveness_.disconnected(3);
  alive_.clear();
  liveness_.heard(3, {.epoch = 6, .healthy_shards = 2});
  EXPECT_TRUE(liveness_.alive(3));
  EXPECT_EQ(alive_, std::vector<NodeId>{3});
}

TEST_F(LivenessTest, a_shard_that_falls_ill_ends_it_too_and_recovery_does_not) {
  liveness_.heard(2, {.epoch = 1, .healthy_shards = 3});
  liveness_.heard(2, {.epoch = 1, .healthy_shards = 1});
  EXPECT_EQ(lost_, std::vector<NodeId>{2});
  liveness_.heard(2, {.epoch = 1, .healthy_shards = 3});
  EXPECT_EQ(lost_, std::vector<NodeId>{2});
}

TEST_F(LivenessTest, a_broken_connection_loses_a_living_node_at_once) {
  liveness_.heard(2, {.epoch = 1, .healthy_shards = 1});
  liveness_.disconnected(2);
  liveness_.disconnected(2);
  EXPECT_EQ(lost_, std::vector<NodeId>{2});
}

TEST_F(LivenessTest, a_change_of_health_is_told_at_once) {
  sent_.clear();
  liveness_.set_healthy_shards(0);
  ASSERT_EQ(sent_.size(), 2u);
  EXPECT_EQ(sent_[0].second.healthy_shards, 0u);
  liveness_.set_healthy_shards(0);
  EXPECT_EQ(sent_.size(), 2u);
}

TEST_F(LivenessTest, a_stranger_is_ignored) {
  liveness_.heard(9, {.epoch = 1, .healthy_shards = 1});
  EXPECT_FALSE(liveness_.alive(9));
}

}  // namespace
}  // namespace bop::node

// When a group counts as available, and what is reported then.
#include "sim/availability.h"

#include <gtest/gtest.h>

#include <memory>
#include <variant>
#include <vector>

#include "base/logging.h"
#include "group/replica.h"
#include "proto/peer.h"

namespace bop::sim {
namespace {

constexpr Duration long_enough = 2 * seconds;  // a deadline

// Three nodes, one group.
class AvailabilityTest : public testing::Test {
 protected:
  AvailabilityTest() {
    EXPECT_TRUE(logging::start({.level = logging::Level::off}));
    // The checker counts the votes of a leader, so it needs the messages that carry them.
    network_.watch_control([this](const mem::Buffer& frame) {
      const auto decoded = decoder_.decode(frame);
      ASSERT_TRUE(decoded);
      for (const proto::PeerItem& item : decoded->items)
        if (const auto* raft = std::get_if<proto::RaftItem>(&item))
          checker_.sent(raft->group, raft->message);
      decoder_.clear();
    });
    NodeSettings settings;
    node::GroupSpec group;
    group.name = "kv";
    group.id = 1;
    settings.shard.groups = {group};
    settings.shard.log.segment_bytes = 2 << 20;
    settings.shard.log.max_bytes = 64 << 20;
    for (NodeId id = 1; id <= 3; ++id) settings.shard.peers.push_back({id, "simulated"});
    for (NodeId id = 1; id <= 3; ++id) {
      nodes_.push_back(
          std::make_unique<Node>(scheduler_, harness_, network_, checker_, id, settings));
      nodes_.back()->start();
    }
    run(1 * seconds);
  }
  ~AvailabilityTest() override {
    nodes_.clear();
    logging::stop();
  }
  void run(Duration time) { scheduler_.run_until(scheduler_.now() + time); }
  bool counts(NodeId node) const { return availability_.counts(1, node, long_enough); }
  void fail(NodeId node, Duration took) {
    const Instant asked = scheduler_.now();
    const bool counted = counts(node);
    run(took);
    availability_.answered(1, node, asked, BOP_E_TIMEOUT, counted);
  }

  Scheduler scheduler_{1};
  Thread harness_{scheduler_, 0, {}};
  Network network_{scheduler_, harness_, {}};
  proto::PeerDecoder decoder_;
  StateChecker checker_{scheduler_};
  std::vector<std::unique_ptr<Node>> nodes_;
  Availability availability_{scheduler_,
                             network_,
                             checker_,
                             nodes_,
                             {.steady_for = 3 * seconds,
                              .bound = 5 * seconds,
                              .least_deadline = 1 * seconds,
                              .least_percent = 90,
                              .least_requests = 10}};
};

TEST_F(AvailabilityTest, a_group_is_available_when_its_nodes_have_served_for_a_while) {
  EXPECT_FALSE(counts(1));
  run(5 * seconds);
  EXPECT_TRUE(counts(1));
  EXPECT_FALSE(availability_.counts(1, 1, 500 * milliseconds)) << "the deadline is too short";
}

TEST_F(AvailabilityTest, a_majority_is_enough_and_the_others_do_not_count) {
  run(5 * seconds);
  network_.isolate(1);
  EXPECT_FALSE(counts(1));
  EXPECT_TRUE(counts(2));
  nodes_[2]->crash(Ending::power);
  EXPECT_FALSE(counts(2));
}

TEST_F(AvailabilityTest, the_nodes_of_the_majority_reach_each_other) {
  run(5 * seconds);
  network_.cut(1, 2);
  EXPECT_TRUE(counts(1)) << "with node 3";
  EXPECT_TRUE(counts(2)) << "with node 3";
  network_.cut(1, 3);
  EXPECT_FALSE(counts(1));
  EXPECT_TRUE(counts(2));
}

TEST_F(AvailabilityTest, a_node_that_is_hindered_does_not_count_until_a_while_after) {
  run(5 * seconds);
  nodes_[0]->pause(2 * seconds);
  run(4 * seconds);
  EXPECT_FALSE(counts(1));
  EXPECT_TRUE(counts(2));
  run(2 * seconds);
  EXPECT_TRUE(counts(1));
  availability_.excuse(scheduler_.now() + 1 * seconds);
  EXPECT_FALSE(counts(2));
}

TEST_F(AvailabilityTest, reports_a_time_in_which_no_request_was_answered) {
  run(5 * seconds);
  availability_.answered(1, 2, scheduler_.now() - 1, BOP_OK, true);
  fail(2, 2 * seconds);
  fail(2, 2 * seconds);
  EXPECT_FALSE(checker_.violation());
  fail(2, 2 * seconds);
  ASSERT_TRUE(checker_.violation());
  EXPECT_NE(checker_.violation()->find("availability: a majority of the nodes could serve group 1"),
            std::string::npos)
      << *checker_.violation();
}

TEST_F(AvailabilityTest, failures_while_no_majority_could_serve_are_not_reported) {
  run(5 * seconds);
  for (int i = 0; i < 5; ++i) {
    network_.isolate(1);
    network_.isolate(2);
    fail(2, 3 * seconds);
    network_.heal_all();
  }
  EXPECT_FALSE(checker_.violation());
  EXPECT_EQ(availability_.counters().counted, 0u);
}

TEST_F(AvailabilityTest, reports_that_too_few_requests_were_answered) {
  run(5 * seconds);
  for (int i = 0; i < 8; ++i) availability_.answered(1, 2, scheduler_.now(), BOP_OK, true);
  fail(2, 1 * milliseconds);
  availability_.check_all();
  EXPECT_FALSE(checker_.violation()) << "too few to tell";
  fail(2, 1 * milliseconds);
  availability_.check_all();
  EXPECT_TRUE(checker_.violation());
}

}  // namespace
}  // namespace bop::sim

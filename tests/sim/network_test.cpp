#include "sim/network.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

namespace bop::sim {
namespace {

constexpr uint32_t always = 1'000'000;

// Three nodes that write down what reaches them.
struct SimulatedNetwork : testing::Test {
  struct Node : port::TransportReceiver {
    Node(Scheduler& scheduler, NodeId id) : thread(scheduler, static_cast<uint32_t>(id), {}) {}
    Status on_frame(NodeId from, mem::Buffer frame) override {
      frames.push_back(std::to_string(from) + ":" + std::string(as_text(frame.bytes())));
      return {};
    }
    void on_channel(NodeId node, port::Channel channel, bool up) override {
      if (up) {
        channels.insert({node, channel});
      } else {
        channels.erase({node, channel});
        ++lost_lanes;
      }
    }

    Thread thread;
    port::Transport* transport = nullptr;
    std::vector<std::string> frames;
    std::set<std::pair<NodeId, port::Channel>> channels;
    int lost_lanes = 0;
  };

  SimulatedNetwork() : network(scheduler, harness, options()) {
    for (Node* node : {&one, &two, &three}) {
      node->transport = &network.add_node(node->thread.number(), node->thread);
    }
    for (Node* node : {&one, &two, &three}) start(*node);
    run(1 * seconds);
  }

  static NetworkOptions options() {
    NetworkOptions options;
    options.max_queued_bytes = 4096;
    return options;
  }
  void start(Node& node) {
    network.start_node(node.thread.number());
    node.transport->set_receiver(&node);
  }
  void run(Duration time) { scheduler.run_until(scheduler.now() + time); }
  bool send(Node& from, NodeId to, std::string_view text,
            port::Channel channel = port::Channel::control) {
    const std::array parts{mem::Buffer::copy(as_bytes(text))};
    return from.transport->send(to, channel, parts);
  }

  Scheduler scheduler{1};
  Thread harness{scheduler, 0, {}};
  Network network;
  Node one{scheduler, 1};
  Node two{scheduler, 2};
  Node three{scheduler, 3};
};

TEST_F(SimulatedNetwork, connects_every_pair_of_running_nodes_on_both_lanes) {
  for (const Node* node : {&one, &two, &three}) EXPECT_EQ(node->channels.size(), 4u);
}

TEST_F(SimulatedNetwork, carries_a_frame_made_of_parts_to_its_receiver_alone) {
  const std::array parts{mem::Buffer::copy(as_bytes("ab")), mem::Buffer(),
                         mem::Buffer::copy(as_bytes("c"))};
  EXPECT_TRUE(one.transport->send(2, port::Channel::bulk, parts));
  EXPECT_TRUE(two.frames.empty());
  run(1 * seconds);
  EXPECT_EQ(two.frames, std::vector<std::string>{"1:abc"});
  EXPECT_TRUE(three.frames.empty());
}

TEST_F(SimulatedNetwork, the_receiver_has_a_copy_of_its_own) {
  mem::Buffer mine = mem::Buffer::copy(as_bytes("same bytes"));
  struct Keep : port::TransportReceiver {
    Status on_frame(NodeId, mem::Buffer frame) override {
      kept = std::move(frame);
      return {};
    }
    void on_channel(NodeId, port::Channel, bool) override {}
    mem::Buffer kept;
  } keep;
  two.transport->set_receiver(&keep);
  const std::array parts{mine};
  EXPECT_TRUE(one.transport->send(2, port::Channel::bulk, parts));
  run(1 * seconds);
  EXPECT_EQ(as_text(keep.kept.bytes()), "same bytes");
  EXPECT_NE(keep.kept.data(), mine.data());
}

TEST_F(SimulatedNetwork, keeps_the_order_of_a_lane) {
  std::vector<std::string> expected;
  for (int i = 0; i < 100; ++i) {
    expected.push_back("1:" + std::to_string(i));
    EXPECT_TRUE(send(one, 2, std::to_string(i)));
  }
  run(1 * seconds);
  EXPECT_EQ(two.frames, expected);
}

TEST_F(SimulatedNetwork, lets_frames_overtake_each_other_on_a_link_of_that_quality) {
  LinkQuality quality;
  quality.overtaken = always / 2;
  network.set_quality(1, 2, quality);
  for (int i = 0; i < 100; ++i) EXPECT_TRUE(send(one, 2, std::to_string(100 + i)));
  run(1 * seconds);
  EXPECT_EQ(two.frames.size(), 100u);
  EXPECT_FALSE(std::is_sorted(two.frames.begin(), two.frames.end()));
}

TEST_F(SimulatedNetwork, loses_frames_on_a_link_of_that_quality_without_a_word) {
  LinkQuality quality;
  quality.lost = always;
  network.set_quality(1, 2, quality);
  EXPECT_TRUE(send(one, 2, "x"));
  EXPECT_TRUE(send(two, 1, "y"));
  run(1 * seconds);
  EXPECT_TRUE(two.frames.empty());
  EXPECT_EQ(one.frames, std::vector<std::string>{"2:y"});
}

TEST_F(SimulatedNetwork, repeats_frames_on_a_link_of_that_quality) {
  LinkQuality quality;
  quality.repeated = always;
  network.set_quality(1, 2, quality);
  EXPECT_TRUE(send(one, 2, "x"));
  run(1 * seconds);
  EXPECT_EQ(two.frames, (std::vector<std::string>{"1:x", "1:x"}));
}

TEST_F(SimulatedNetwork, a_cut_of_one_direction_leaves_the_other) {
  network.cut(1, 2);
  EXPECT_TRUE(send(one, 2, "x"));
  EXPECT_TRUE(send(two, 1, "y"));
  run(100 * milliseconds);
  EXPECT_TRUE(two.frames.empty());
  EXPECT_EQ(one.frames, std::vector<std::string>{"2:y"});
}

TEST_F(SimulatedNetwork, a_cut_that_lasts_takes_the_lanes_down_and_healing_brings_them_back) {
  network.isolate(1);
  run(10 * seconds);
  EXPECT_TRUE(one.channels.empty());
  EXPECT_EQ(two.channels.size(), 2u);
  EXPECT_FALSE(send(one, 2, "x"));
  network.heal_all();
  run(1 * seconds);
  EXPECT_EQ(one.channels.size(), 4u);
  EXPECT_TRUE(send(one, 2, "y"));
  run(1 * seconds);
  EXPECT_EQ(two.frames, std::vector<std::string>{"1:y"});
}

TEST_F(SimulatedNetwork, a_cut_healed_before_anyone_noticed_breaks_nothing) {
  network.isolate(1);
  run(100 * milliseconds);
  network.heal_all();
  run(10 * seconds);
  EXPECT_EQ(one.lost_lanes, 0);
  EXPECT_EQ(one.channels.size(), 4u);
}

TEST_F(SimulatedNetwork, a_reset_breaks_both_lanes_at_once_and_they_are_dialled_again) {
  const auto before = network.passes_since(1, 2);
  ASSERT_TRUE(before);
  network.reset(1, 2);
  EXPECT_FALSE(network.passes_since(1, 2));
  EXPECT_FALSE(send(one, 2, "x"));
  run(1 * seconds);
  EXPECT_EQ(one.lost_lanes, 2);
  EXPECT_EQ(three.lost_lanes, 0);
  EXPECT_EQ(network.counters().reset, 2u);
  EXPECT_GT(*network.passes_since(1, 2), *before);
  EXPECT_TRUE(send(one, 2, "y"));
}

TEST_F(SimulatedNetwork, two_nodes_that_do_not_reach_each_other_both_reach_the_third) {
  network.cut(1, 2);
  network.cut(2, 1);
  EXPECT_TRUE(send(one, 2, "x"));
  EXPECT_TRUE(send(two, 1, "x"));
  EXPECT_TRUE(send(one, 3, "y"));
  EXPECT_TRUE(send(two, 3, "y"));
  run(100 * milliseconds);
  EXPECT_TRUE(one.frames.empty());
  EXPECT_TRUE(two.frames.empty());
  EXPECT_EQ(three.frames.size(), 2u);
  EXPECT_FALSE(network.passes_since(1, 2));
  EXPECT_TRUE(network.passes_since(1, 3));
}

TEST_F(SimulatedNetwork, peers_of_a_process_that_ended_hear_of_it_at_once) {
  one.thread.clear();
  network.end_node(1, true);
  run(1 * milliseconds);
  EXPECT_EQ(two.channels.size(), 2u);
  EXPECT_FALSE(send(two, 1, "x"));
}

TEST_F(SimulatedNetwork, peers_of_a_machine_without_power_notice_later) {
  one.thread.clear();
  network.end_node(1, false);
  run(100 * milliseconds);
  EXPECT_EQ(two.channels.size(), 4u);
  EXPECT_TRUE(send(two, 1, "x"));
  run(10 * seconds);
  EXPECT_EQ(two.channels.size(), 2u);
}

TEST_F(SimulatedNetwork, nothing_that_was_on_its_way_to_an_earlier_process_reaches_a_later_one) {
  one.channels.clear();
  EXPECT_TRUE(send(two, 1, "x"));
  one.thread.clear();
  network.end_node(1, false);
  start(one);
  EXPECT_TRUE(one.channels.empty());
  run(10 * seconds);
  EXPECT_TRUE(one.frames.empty());
  EXPECT_EQ(one.channels.size(), 4u);
  EXPECT_EQ(one.lost_lanes, 0);
  EXPECT_EQ(two.lost_lanes, 2);
}

TEST_F(SimulatedNetwork, refuses_what_its_queue_cannot_hold_and_takes_it_when_it_drained) {
  LinkQuality slow;
  slow.bytes_per_second = 100'000;
  network.set_quality(1, 2, slow);
  const std::string big(3000, 'x');
  EXPECT_TRUE(send(one, 2, big));
  EXPECT_EQ(one.transport->queued_bytes(2, port::Channel::control), 3000u);
  EXPECT_FALSE(send(one, 2, big));
  EXPECT_TRUE(send(one, 2, big, port::Channel::bulk));
  run(30 * milliseconds);
  EXPECT_EQ(one.transport->queued_bytes(2, port::Channel::control), 0u);
  EXPECT_TRUE(send(one, 2, big));
}

TEST_F(SimulatedNetwork, knows_no_node_that_was_not_added) {
  EXPECT_FALSE(send(one, 9, "x"));
  EXPECT_EQ(one.transport->queued_bytes(9, port::Channel::bulk), 0u);
}

}  // namespace
}  // namespace bop::sim

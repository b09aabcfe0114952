// The conditions that a node finds in itself and its peers.
#include "node/watch.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

namespace bop::node {
namespace {

ShardOptions three_nodes() {
  ShardOptions options;
  options.self = 1;
  options.peers = {{2, "two:1"}, {3, "three:1"}};
  options.groups.emplace_back();
  options.groups.back().name = "kv";
  options.groups.back().id = 1;
  options.raft.election_timeout = 1 * seconds;
  options.log.segment_bytes = 64u << 20;
  return options;
}

struct WatchTest : testing::Test {
  std::vector<ActiveCondition> check() {
    return watch.check(view, [this](NodeId node) { return heard.contains(node); }, now);
  }
  // The condition's detail after `time`; empty: it does not hold.
  std::string after(Duration time, Condition condition) {
    check();
    now += time;
    for (const ActiveCondition& active : check())
      if (active.condition == condition) return active.detail;
    return {};
  }
  proto::GroupReport report(Index commit, Index applied) {
    return {.id = 1, .commit = commit, .applied = applied};
  }
  void peer_reports(NodeId peer, const proto::NodeReport& node,
                    const std::vector<proto::GroupReport>& groups) {
    std::vector<uint8_t> bytes;
    encode(node, bytes);
    encode(groups, bytes);
    view.heard(peer, proto::decode_sections(bytes).value(), now);
  }

  ShardOptions options = three_nodes();
  ClusterView view{options};
  Watch watch{options, 1};
  std::set<NodeId> heard{2, 3};
  Instant now = 100 * seconds;
};

TEST_F(WatchTest, only_addresses_of_nodes_that_are_heard_and_told_them_are_passed_on) {
  const auto alive = [this](NodeId node) { return heard.contains(node); };
  EXPECT_TRUE(view.addresses(alive).empty());  // configured ones prove nothing
  view.introduced(2, {.instance = 1, .address = "two:9", .native = {}});
  view.introduced(3, {.instance = 1, .address = {}, .native = {}});
  EXPECT_EQ(view.addresses(alive), (std::vector<proto::NodeAddress>{{2, "two:9"}}));
  heard = {3};
  EXPECT_TRUE(view.addresses(alive).empty());
}

TEST_F(WatchTest, a_node_that_hears_its_peers_has_no_condition) {
  EXPECT_TRUE(check().empty());
  now += 10 * seconds;
  EXPECT_TRUE(check().empty());
}

TEST_F(WatchTest, a_quorum_is_lost_when_too_few_voters_are_heard_for_two_election_timeouts) {
  heard = {3};
  EXPECT_EQ(after(10 * seconds, Condition::quorum_lost), "");  // two of three are enough
  heard = {};
  EXPECT_EQ(after(1 * seconds, Condition::quorum_lost), "");
  EXPECT_EQ(after(1 * seconds, Condition::quorum_lost),
            "1 of 3 voters are heard, 2 are needed; not heard: nodes 2, 3");
  EXPECT_EQ(after(0, Condition::alone), "no other node is heard");
  heard = {2};
  EXPECT_EQ(after(0, Condition::quorum_lost), "");
  EXPECT_EQ(after(0, Condition::alone), "");
}

TEST_F(WatchTest, a_group_without_a_quorum_is_not_also_reported_without_a_leader) {
  watch.on_shard_report(0, {{Condition::no_leader, 1, "kv", "for 5 s"}});
  EXPECT_EQ(after(0, Condition::no_leader), "for 5 s");
  heard = {};
  after(2 * seconds, Condition::quorum_lost);
  EXPECT_EQ(after(0, Condition::no_leader), "");
}

TEST_F(WatchTest, a_node_that_peers_refuse_is_locked_out_until_they_are_heard) {
  heard = {};
  watch.refused_by(2, {BOP_E_WRONG_INCARNATION, "it was reformatted"});
  EXPECT_EQ(after(0, Condition::locked_out), "node 2: BOP_E_WRONG_INCARNATION: it was reformatted");
  watch.accepted_by(2);
  EXPECT_EQ(after(0, Condition::locked_out), "");
}

TEST_F(WatchTest, one_peer_that_refuses_a_node_which_hears_a_majority_does_not_lock_it_out) {
  heard = {3};
  watch.refused_by(2, {BOP_E_BAD_CONFIG, "it was formatted for other groups"});
  EXPECT_EQ(after(0, Condition::locked_out), "");
  heard = {};
  EXPECT_NE(after(0, Condition::locked_out), "");
}

TEST_F(WatchTest, a_second_process_is_reported_as_long_as_it_calls) {
  watch.second_process(3, "10.0.0.9:7103", now);
  EXPECT_EQ(watch.second_process_of(now), 3u);
  EXPECT_NE(after(1 * seconds, Condition::peer_identity_in_use).find("10.0.0.9:7103"),
            std::string::npos);
  EXPECT_EQ(after(20 * seconds, Condition::peer_identity_in_use), "");
  EXPECT_EQ(watch.second_process_of(now), 0u);
}

TEST_F(WatchTest, both_processes_of_one_identity_learn_of_it) {
  heard = {};
  watch.refused_by(2, {BOP_E_DIRECTORY_IN_USE, "another is connected"});  // the second
  EXPECT_NE(after(0, Condition::identity_in_use), "");
  EXPECT_NE(after(0, Condition::locked_out).find("another is connected"), std::string::npos);
  heard = {2, 3};
  watch.accepted_by(2);
  EXPECT_EQ(after(0, Condition::identity_in_use), "");
  proto::NodeReport report_of_two;
  report_of_two.second_process_of = 1;
  peer_reports(2, report_of_two, {});  // the first
  EXPECT_EQ(after(0, Condition::identity_in_use),
            "node 2 sees another process run as this node and refuses it");
  EXPECT_EQ(after(0, Condition::locked_out), "");
  EXPECT_FALSE(blocks(Condition::identity_in_use));  // the first stays ready
  EXPECT_EQ(after(20 * seconds, Condition::identity_in_use), "");
}

TEST_F(WatchTest, a_shard_that_knows_why_a_machine_is_behind_states_it_in_place_of_the_count) {
  view.heard_own({report(10, 10)}, now);
  view.heard_own({report(50, 10)}, now);
  view.heard_own({report(50, 10)}, now);
  watch.on_shard_report(0, {{Condition::behind, 1, "kv", "the machine applies nothing: no space"}});
  EXPECT_EQ(after(10 * seconds, Condition::behind), "the machine applies nothing: no space");
  EXPECT_EQ(std::ranges::count(check(), Condition::behind, &ActiveCondition::condition), 1);
}

TEST_F(WatchTest, a_machine_is_behind_when_it_lacks_what_was_committed_five_seconds_ago) {
  view.heard_own({report(10, 10)}, now);
  peer_reports(2, {}, {report(50, 50)});
  view.heard_own({report(10, 10)}, now);  // from now on it is to have 50
  EXPECT_EQ(after(4 * seconds, Condition::behind), "");
  view.heard_own({report(40, 40)}, now);
  peer_reports(2, {}, {report(90, 90)});
  EXPECT_EQ(after(1 * seconds, Condition::behind),
            "the machine applied entry 40, entry 50 was committed 5 s ago, 90 by now");
  view.heard_own({report(60, 60)}, now);  // late, but it goes on
  EXPECT_EQ(after(0, Condition::behind), "");
}

TEST_F(WatchTest, a_disk_is_nearly_full_when_the_next_segments_do_not_fit) {
  watch.space(257u << 20);
  EXPECT_EQ(after(0, Condition::disk_nearly_full), "");
  watch.space(255u << 20);
  EXPECT_EQ(after(0, Condition::disk_nearly_full),
            "255 MiB are free, the logs take 64 MiB at a time");
  watch.on_shard_report(0, {{Condition::disk_full, 0, {}, "shard 0"}});
  EXPECT_EQ(after(0, Condition::disk_nearly_full), "");
}

TEST_F(WatchTest, a_shard_that_misses_some_reports_is_stalled_until_it_reports) {
  const auto stalled = [this] {
    std::string detail;
    for (const ActiveCondition& active : check())
      if (active.condition == Condition::shard_stalled) detail = active.detail;
    return detail;
  };
  for (int i = 0; i < 4; ++i) EXPECT_EQ(stalled(), "");
  EXPECT_EQ(stalled(), "shard 0: its thread does not run; the group kv is not served");
  watch.on_shard_report(0, {});
  EXPECT_EQ(stalled(), "");
}

TEST_F(WatchTest, a_peers_last_report_is_kept_when_it_is_not_heard_any_more) {
  view.introduced(2, {.instance = 5, .address = "moved:1", .native = "moved:2"});
  peer_reports(2,
               {.uptime_ms = 7000, .conditions = 1u << 12, .second_process_of = 0, .version = "9"},
               {report(50, 40)});
  now += 3 * seconds;
  const std::vector<KnownNode> nodes = view.peers([](NodeId) { return false; }, now);
  ASSERT_EQ(nodes.size(), 2u);
  EXPECT_EQ(nodes[0].address, "moved:1");
  EXPECT_EQ(nodes[0].native, "moved:2");
  EXPECT_EQ(nodes[0].version, "9");
  EXPECT_FALSE(nodes[0].reachable);
  EXPECT_EQ(nodes[0].heard_ago, 3 * seconds);
  EXPECT_EQ(nodes[0].uptime, 7 * seconds);
  EXPECT_EQ(nodes[0].conditions, std::vector{Condition::behind});
  ASSERT_EQ(nodes[0].groups.size(), 1u);
  EXPECT_EQ(nodes[0].groups[0].name, "kv");
  EXPECT_EQ(nodes[0].groups[0].commit, 50u);
  EXPECT_FALSE(nodes[1].reported);
  EXPECT_EQ(nodes[1].uptime, -1);
}

TEST(Conditions, have_names_and_bits_of_their_own) {
  std::set<std::string> names;
  std::vector<ActiveCondition> all;
  for (size_t i = 0; i < condition_count; ++i) {
    names.insert(name_of(static_cast<Condition>(i)));
    all.push_back({static_cast<Condition>(i), 0, {}, {}});
  }
  EXPECT_EQ(names.size(), condition_count);
  EXPECT_EQ(conditions_of(bits_of(all)).size(), condition_count);
  EXPECT_EQ(conditions_of(~uint64_t{0}).size(), condition_count);  // of a later version
}

}  // namespace
}  // namespace bop::node

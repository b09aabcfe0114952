// A shard and its replicas: what opens and what does not, and how it stops.
#include <future>
#include <map>

#include "cluster.h"

namespace bop::node {
namespace {

using testing::Asker;
using testing::broken_group;
using testing::buffer;
using testing::Cluster;
using testing::Member;

constexpr GroupId healthy = 1, broken = 2;
constexpr Duration long_enough = 60 * seconds;

std::vector<GroupSpec> two_groups() {
  GroupSpec first, second;
  first.name = "healthy";
  first.id = healthy;
  second.name = "broken";
  second.id = broken;
  return {first, second};
}

void propose(Service& service, Asker& asker, uint64_t token, GroupId to) {
  service.propose({.group = to,
                   .payload = buffer("command"),
                   .deadline = service.now() + long_enough,
                   .completion = &asker,
                   .token = token});
}

Asker::Heard ask(Member& member, GroupId to) {
  Asker asker;
  member.on(0, [&](Service& service) { propose(service, asker, 1, to); });
  const auto heard = asker.wait_for(1);
  return heard.empty() ? Asker::Heard{} : heard.front();
}

class ShardTest : public ::testing::Test {
 protected:
  ~ShardTest() override { broken_group.clear(); }
};

TEST_F(ShardTest, a_group_whose_store_does_not_open_halts_and_the_others_serve) {
  Cluster cluster(1, 1, two_groups());
  cluster.start();
  Member& member = cluster.member(1);
  EXPECT_EQ(ask(member, healthy).status, BOP_OK);
  EXPECT_EQ(ask(member, broken).status, BOP_OK);
  ASSERT_TRUE(member.stop(long_enough));
  member.halt();

  broken_group = "broken";
  const Status reopened = member.reopen();
  ASSERT_TRUE(reopened) << reopened.error().to_string();
  member.start();
  EXPECT_EQ(ask(member, healthy).status, BOP_OK);
  const Asker::Heard refused = ask(member, broken);
  EXPECT_EQ(refused.status, BOP_E_DAMAGED);
  EXPECT_EQ(refused.detail, "group broken: machine echo: a page is damaged");
  const NodeStatus status = member.status();
  ASSERT_EQ(status.groups.size(), 2u);
  EXPECT_EQ(status.groups[0].halted, BOP_OK);
  EXPECT_EQ(status.groups[1].halted, BOP_E_DAMAGED);
  EXPECT_EQ(status.groups[1].reason, "group broken: machine echo: a page is damaged");
  EXPECT_FALSE(status.groups[1].ready);
  EXPECT_FALSE(status.log_latched);
}

TEST_F(ShardTest, a_new_directory_in_which_a_store_does_not_open_is_refused) {
  broken_group = "broken";
  Cluster cluster(1, 1, two_groups());
  const Status opened = cluster.member(1).open();
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, BOP_E_DAMAGED);
}

TEST_F(ShardTest, a_shard_that_stops_refuses_by_name_what_comes_then) {
  Cluster cluster(1, 1, two_groups());
  cluster.start();
  Member& member = cluster.member(1);
  EXPECT_EQ(ask(member, healthy).status, BOP_OK);
  ASSERT_TRUE(member.stop(long_enough));
  EXPECT_FALSE(member.status().groups.empty());
  const Asker::Heard refused = ask(member, healthy);
  EXPECT_EQ(refused.status, BOP_E_STOPPED);
  EXPECT_EQ(refused.detail, "this node is stopping, nothing was executed");
}

// Each node in its turn, while commands are given to all of them without a pause.
TEST_F(ShardTest, a_leader_that_stops_leaves_no_outcome_unknown) {
  Cluster cluster(3, 1, two_groups());
  cluster.start();
  for (NodeId id = 1; id <= 3; ++id) ASSERT_EQ(ask(cluster.member(id), healthy).status, BOP_OK);
  NodeId leader = 0;
  for (const GroupStatus& group : cluster.member(1).status().groups)
    if (group.id == healthy) leader = group.leader;
  ASSERT_NE(leader, 0u);

  Asker asker;
  uint64_t asked = 0;
  const auto ask_all = [&] {
    for (NodeId id = 1; id <= 3; ++id)
      cluster.member(id).on(0, [&](Service& service) {
        for (int i = 0; i < 20; ++i) propose(service, asker, ++asked, healthy);
      });
  };
  ask_all();
  auto stopping =
      std::async(std::launch::async, [&] { return cluster.member(leader).stop(long_enough); });
  while (stopping.wait_for(std::chrono::milliseconds(1)) != std::future_status::ready) ask_all();
  EXPECT_TRUE(stopping.get());
  cluster.member(leader).halt();

  std::map<bop_status, size_t> counts;
  for (const Asker::Heard& heard : asker.wait_for(asked)) ++counts[heard.status];
  EXPECT_GT(counts[BOP_OK], 0u);
  EXPECT_EQ(counts[BOP_E_OUTCOME_UNKNOWN], 0u);
}

}  // namespace
}  // namespace bop::node

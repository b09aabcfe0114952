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

// As when the node stopped while it installed a snapshot.
TEST_F(ShardTest, files_of_instances_of_a_machine_that_no_record_names_are_removed) {
  Cluster cluster(1, 1, two_groups());
  cluster.start();
  Member& member = cluster.member(1);
  EXPECT_EQ(ask(member, healthy).status, BOP_OK);
  ASSERT_TRUE(member.stop(long_enough));
  member.halt();
  sim::Disk& disk = member.disk(0);
  for (const char* directory : {"shard0/group-1/1", "shard0/group-1/2", "shard0/group-1/other"}) {
    ASSERT_TRUE(disk.make_directory_now(directory));
    ASSERT_TRUE(disk.open_now(std::string(directory) + "/file", {.create = true}));
  }
  ASSERT_TRUE(member.reopen());
  EXPECT_EQ(disk.list_now("shard0/group-1/1")->size(), 1u);
  EXPECT_TRUE(disk.list_now("shard0/group-1/2")->empty());
  EXPECT_EQ(disk.list_now("shard0/group-1/other")->size(), 1u) << "not an instance";

  // Not while it is in doubt which instance counts: this group's machine does not open.
  member.start();
  ASSERT_TRUE(member.stop(long_enough));
  member.halt();
  ASSERT_TRUE(disk.make_directory_now("shard0/group-2/2"));
  ASSERT_TRUE(disk.open_now("shard0/group-2/2/file", {.create = true}));
  broken_group = "broken";
  ASSERT_TRUE(member.reopen());
  EXPECT_EQ(disk.list_now("shard0/group-2/2")->size(), 1u);
}

TEST_F(ShardTest, a_new_directory_in_which_a_store_does_not_open_is_refused) {
  broken_group = "broken";
  Cluster cluster(1, 1, two_groups());
  const Status opened = cluster.member(1).open();
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, BOP_E_DAMAGED);
}

// ---- a log that does not open ----

// One group on each of two shards.
std::vector<GroupSpec> on_two_shards() {
  std::vector<GroupSpec> groups = two_groups();
  groups[1].shard = 1;
  return groups;
}

class ShardLogTest : public ShardTest {
 protected:
  // Both groups have served, and the node is stopped.
  void serve_and_stop() {
    cluster_.start();
    EXPECT_EQ(ask(member_, healthy).status, BOP_OK);
    EXPECT_EQ(ask(member_, broken).status, BOP_OK);
    ASSERT_TRUE(member_.stop(long_enough));
    member_.halt();
  }
  // From now on, no file of that shard's log opens.
  void fail_log(uint32_t shard, bop_status error) {
    member_.disk(shard).fail(sim::DiskOperation::open, error, 1, 1000);
  }

  Cluster cluster_{1, 2, on_two_shards()};
  Member& member_ = cluster_.member(1);
};

TEST_F(ShardLogTest, that_does_not_open_is_reported_and_the_other_shards_serve) {
  for (const bop_status error : {BOP_E_IO, BOP_E_DAMAGED, BOP_E_DISK_FULL, BOP_E_OVERLOADED}) {
    Cluster cluster(1, 2, on_two_shards());
    cluster.start();
    Member& member = cluster.member(1);
    EXPECT_EQ(ask(member, broken).status, BOP_OK);
    ASSERT_TRUE(member.stop(long_enough));
    member.halt();
    member.disk(1).fail(sim::DiskOperation::open, error, 1, 1000);
    const Status reopened = member.reopen();
    ASSERT_TRUE(reopened) << reopened.error().to_string();
    member.start();
    EXPECT_EQ(ask(member, healthy).status, BOP_OK);
    const Asker::Heard refused = ask(member, broken);
    EXPECT_EQ(refused.status, error);
    EXPECT_TRUE(refused.detail.starts_with("the log of shard 1 cannot be opened: "))
        << refused.detail;
    NodeStatus status = member.status();
    const auto until = io::Loop::read_clock() + long_enough;
    while (status.conditions.empty() && io::Loop::read_clock() < until) status = member.status();
    ASSERT_EQ(status.conditions.size(), 1u);
    EXPECT_EQ(status.conditions[0].condition, Condition::log_unavailable);
    EXPECT_TRUE(status.conditions[0].detail.ends_with("; the group broken is not served"))
        << status.conditions[0].detail;
    EXPECT_EQ(status.groups[0].halted, BOP_OK);
    EXPECT_EQ(status.groups[1].halted, error);
    EXPECT_FALSE(not_ready_reasons(status).empty());

    // The next start finds it again.
    ASSERT_TRUE(member.stop(long_enough));
    member.halt();
    member.disk(1).heal();
    ASSERT_TRUE(member.reopen());
    member.start();
    EXPECT_EQ(ask(member, broken).status, BOP_OK);
  }
}

TEST_F(ShardLogTest, that_another_process_or_a_newer_bop_wrote_ends_the_start) {
  serve_and_stop();
  for (const bop_status error :
       {BOP_E_DIRECTORY_IN_USE, BOP_E_NEWER_FORMAT, BOP_E_FOREIGN_DIRECTORY}) {
    fail_log(1, error);
    const Status reopened = member_.reopen();
    ASSERT_FALSE(reopened);
    EXPECT_EQ(reopened.error().code, error);
    member_.halt();
    member_.disk(1).heal();
  }
  ASSERT_TRUE(member_.reopen());
}

TEST_F(ShardLogTest, of_every_shard_that_does_not_open_ends_the_start) {
  serve_and_stop();
  fail_log(0, BOP_E_IO);
  fail_log(1, BOP_E_IO);
  const Status reopened = member_.reopen();
  ASSERT_FALSE(reopened);
  EXPECT_EQ(reopened.error().code, BOP_E_IO);
  EXPECT_TRUE(reopened.error().detail.starts_with("the log of shard 0 cannot be opened: "))
      << reopened.error().detail;
}

TEST_F(ShardLogTest, of_a_new_directory_that_does_not_open_ends_the_start) {
  fail_log(1, BOP_E_IO);
  const Status opened = member_.open();
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, BOP_E_IO);
}

TEST_F(ShardLogTest, of_the_first_shard_may_be_the_one_that_does_not_open) {
  serve_and_stop();
  fail_log(0, BOP_E_IO);
  ASSERT_TRUE(member_.reopen());
  EXPECT_GT(member_.node().epoch(), 1u);  // peers see that it started again
  member_.start();
  EXPECT_EQ(ask(member_, broken).status, BOP_OK);
  EXPECT_EQ(ask(member_, healthy).status, BOP_E_IO);
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

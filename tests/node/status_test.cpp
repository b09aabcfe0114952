// What nodes that run tell of themselves and each other.
#include <algorithm>

#include "cluster.h"

namespace bop::node::testing {
namespace {

GroupSpec one_group() {
  GroupSpec group;
  group.name = "group";
  group.id = 1;
  return group;
}

// Its status once `done` accepts it, or the last one.
NodeStatus wait_for(Member& member, const std::function<bool(const NodeStatus&)>& done) {
  NodeStatus status;
  for (int i = 0; i < 6000; ++i) {
    status = member.status();
    if (done(status)) break;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return status;
}

bool has(const NodeStatus& status, Condition condition) {
  return std::ranges::any_of(status.conditions, [&](const ActiveCondition& active) {
    return active.condition == condition;
  });
}

std::string frame_of(NodeId from, NodeId to, uint32_t generation, Term term) {
  proto::PeerHeader header;
  header.cluster = {7};
  header.from = from;
  header.to = to;
  header.epoch = 1;
  proto::PeerFrameWriter writer;
  writer.begin(header);
  raft::Message message;
  message.kind = raft::MessageKind::append_request;
  message.term = term;
  EXPECT_TRUE(
      writer.add(proto::RaftItem{.group = 1, .generation = generation, .message = message}));
  std::string bytes;
  for (const mem::Buffer& part : writer.finish())
    bytes.append(reinterpret_cast<const char*>(part.data()), part.size());
  return bytes;
}

Status give(Member& member, NodeId from, const std::string& frame) {
  std::promise<Status> taken;
  member.loop(0).post([&] { taken.set_value(member.node().on_frame(from, buffer(frame))); });
  return taken.get_future().get();
}

TEST(NodeStatus, shows_every_node_of_the_cluster_whichever_is_asked) {
  Cluster cluster(3, 2, {one_group()});
  cluster.start();
  for (NodeId id = 1; id <= 3; ++id) {
    const NodeStatus status = wait_for(cluster.member(id), [](const NodeStatus& seen) {
      size_t leaders = 0, complete = 0;
      for (const KnownNode& node : seen.nodes) {
        complete += node.reported && node.groups.size() == 1;
        for (const KnownGroup& group : node.groups) leaders += group.role == "leader";
      }
      return complete == 3 && leaders == 1;
    });
    ASSERT_EQ(status.nodes.size(), 3u);
    for (NodeId other = 1; other <= 3; ++other) {
      const KnownNode& node = status.nodes[other - 1];
      EXPECT_EQ(node.id, other);
      EXPECT_EQ(node.self, other == id);
      EXPECT_TRUE(node.reachable);
      EXPECT_GE(node.uptime, 0);
      ASSERT_EQ(node.groups.size(), 1u);
      EXPECT_EQ(node.groups[0].name, "group");
    }
  }
}

TEST(NodeStatus, says_that_the_quorum_is_lost_and_that_it_is_back) {
  Cluster cluster(3, 1, {one_group()});
  Member& member = cluster.member(1);
  ASSERT_TRUE(member.open());
  member.start();
  const NodeStatus lost = wait_for(member, [](const NodeStatus& status) {
    return has(status, Condition::quorum_lost) && has(status, Condition::alone);
  });
  EXPECT_TRUE(has(lost, Condition::quorum_lost));
  EXPECT_TRUE(has(lost, Condition::alone));
  EXPECT_FALSE(not_ready_reasons(lost).empty());
  EXPECT_FALSE(lost.nodes[1].reachable);
  for (NodeId id : {2, 3}) {
    ASSERT_TRUE(cluster.member(id).open());
    cluster.member(id).start();
  }
  const NodeStatus back = wait_for(member, [](const NodeStatus& status) {
    return status.conditions.empty() && not_ready_reasons(status).empty();
  });
  EXPECT_TRUE(back.conditions.empty()) << back.conditions.front().detail;
  EXPECT_TRUE(not_ready_reasons(back).empty());
}

TEST(NodeStatus, says_that_the_log_is_full) {
  Cluster cluster(1, 1, {one_group()});  // whose machine never lets go of anything
  cluster.start();
  Member& member = cluster.member(1);
  Asker asker;
  uint64_t asked = 0;
  // Many at once until some are refused, then one by one: a batch is refused earlier than one alone.
  for (const int batch : {100, 1}) {
    bool refused = false;
    for (int round = 0; !refused && round < 1000; ++round) {
      member.on(0, [&](Service& service) {
        for (int i = 0; i < batch; ++i)
          service.propose({.group = 1,
                           .payload = buffer(std::string(60'000, 'x')),
                           .deadline = service.now() + 10 * seconds,
                           .completion = &asker,
                           .token = asked++});
      });
      const std::vector<Asker::Heard> heard = asker.wait_for(asked);
      for (size_t at = heard.size() - static_cast<size_t>(batch); at < heard.size(); ++at)
        refused = refused || heard[at].status != BOP_OK;
    }
    ASSERT_TRUE(refused);
  }
  const NodeStatus status =
      wait_for(member, [](const NodeStatus& seen) { return has(seen, Condition::log_full); });
  EXPECT_TRUE(has(status, Condition::log_full));
  EXPECT_FALSE(not_ready_reasons(status).empty());
}

// The thread of a shard that does not run, until it is released.
class Stuck {
 public:
  explicit Stuck(io::Loop& loop) {
    loop.post([this] {
      stuck_.set_value();
      released_.get_future().wait();
    });
    stuck_.get_future().wait();
  }
  ~Stuck() { released_.set_value(); }

 private:
  std::promise<void> stuck_, released_;
};

TEST(NodeStatus, reports_a_shard_whose_thread_does_not_run_instead_of_waiting_for_it) {
  GroupSpec first = one_group(), second = one_group();
  first.name = "first";
  second.name = "second";
  second.id = 2;
  second.shard = 1;
  Cluster cluster(1, 2, {first, second});
  cluster.start();
  Member& member = cluster.member(1);
  wait_for(member, [](const NodeStatus& seen) { return not_ready_reasons(seen).empty(); });
  for (const uint32_t stuck : {1u, 0u}) {
    const uint32_t running = 1 - stuck;
    {
      const Stuck thread(member.loop(stuck));
      const Instant asked = io::Loop::read_clock();
      const NodeStatus status = member.status(running);
      EXPECT_LT(io::Loop::read_clock() - asked, 30 * seconds);
      EXPECT_EQ(status.node, 1u);
      ASSERT_EQ(status.groups.size(), 1u);
      EXPECT_EQ(status.groups[0].name, running == 0 ? "first" : "second");
      EXPECT_FALSE(status.nodes.empty());
      const std::vector<std::string> reasons = not_ready_reasons(status);
      ASSERT_EQ(reasons.size(), 1u);
      EXPECT_EQ(reasons[0], "shard_stalled: shard " + std::to_string(stuck) +
                                ": its thread does not run; the group " +
                                (stuck == 0 ? "first" : "second") + " is not served");
    }
    const NodeStatus again =
        wait_for(member, [](const NodeStatus& seen) { return not_ready_reasons(seen).empty(); });
    EXPECT_TRUE(not_ready_reasons(again).empty());
    EXPECT_EQ(again.groups.size(), 2u);
  }
}

TEST(PeerFrames, an_item_for_another_generation_of_its_group_is_dropped) {
  Cluster cluster(3, 1, {one_group()});
  Member& member = cluster.member(1);
  ASSERT_TRUE(member.open());
  member.start();
  EXPECT_TRUE(give(member, 2, frame_of(2, 1, 1, 5000)));
  EXPECT_TRUE(give(member, 2, frame_of(2, 1, 0, 1000)));  // what comes after it counts
  const NodeStatus status =
      wait_for(member, [](const NodeStatus& seen) { return seen.groups[0].term >= 1000; });
  EXPECT_GE(status.groups[0].term, 1000u);
  EXPECT_LT(status.groups[0].term, 5000u);
}

TEST(PeerFrames, a_malformed_or_misdirected_frame_is_refused_by_name) {
  Cluster cluster(3, 1, {one_group()});
  Member& member = cluster.member(1);
  ASSERT_TRUE(member.open());
  member.start();
  const std::string good = frame_of(2, 1, 0, 1);
  EXPECT_TRUE(give(member, 2, good));
  std::string corrupted = good;
  corrupted.back() = static_cast<char>(corrupted.back() ^ 1);
  for (const std::string& bad : {corrupted, frame_of(3, 1, 0, 1), frame_of(2, 3, 0, 1)}) {
    const Status refused = give(member, 2, bad);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, BOP_E_PROTOCOL);
  }
}

}  // namespace
}  // namespace bop::node::testing

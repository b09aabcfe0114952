// Several shards on a node: requests and frames that cross between their threads.
#include "node/cross_shard.h"

#include <atomic>

#include "cluster.h"
#include "proto/peer.h"

namespace bop::node {
namespace {

using testing::Asker;
using testing::buffer;
using testing::Cluster;
using testing::Member;

constexpr GroupId first = 1, second = 2, leaderless = 3;
constexpr Duration long_enough = 60 * seconds;

GroupSpec group(GroupId id, uint32_t shard, std::vector<NodeId> voters = {}) {
  GroupSpec out;
  out.name = "group" + std::to_string(id);
  out.id = id;
  out.shard = shard;
  out.voters = std::move(voters);
  return out;
}

std::vector<GroupSpec> groups() { return {group(first, 0), group(second, 1)}; }

// A group whose other voters are nowhere: what it is asked waits for its deadline.
std::vector<GroupSpec> with_a_leaderless_group() {
  std::vector<GroupSpec> out = groups();
  out.push_back(group(leaderless, 1, {1, 8, 9}));
  return out;
}

Request request(Asker& asker, uint64_t token, GroupId to, std::string_view text, Instant deadline) {
  return {.group = to,
          .payload = buffer(text),
          .deadline = deadline,
          .completion = &asker,
          .token = token};
}

void propose(Service& service, Asker& asker, uint64_t token, GroupId to, std::string_view text,
             Duration timeout = long_enough) {
  service.propose(request(asker, token, to, text, service.now() + timeout));
}

// Asked and answered once, on its own thread.
Asker::Heard ask(Member& member, uint32_t shard, GroupId to, std::string_view text,
                 Duration timeout = long_enough) {
  Asker asker;
  std::thread::id thread;
  member.on(shard, [&](Service& service) {
    thread = std::this_thread::get_id();
    propose(service, asker, 5, to, text, timeout);
    EXPECT_TRUE(asker.heard().empty());  // never from within
  });
  const auto heard = asker.wait_for(1);
  if (heard.empty()) return {};
  EXPECT_EQ(heard.front().token, 5u);
  EXPECT_EQ(heard.front().thread, thread);
  return heard.front();
}

TEST(CrossShard, a_command_for_a_group_of_another_shard_is_answered_where_it_was_asked) {
  Cluster cluster(1, 2, groups());
  cluster.start();
  for (const uint32_t shard : {0u, 1u}) {
    for (const GroupId to : {first, second}) {
      const Asker::Heard heard = ask(cluster.member(1), shard, to, "hello");
      EXPECT_EQ(heard.status, BOP_OK) << heard.detail;
      EXPECT_EQ(heard.body, "hello");
      EXPECT_GT(heard.index, 1u);
    }
  }
}

TEST(CrossShard, a_question_sees_what_was_answered_before_on_another_shard) {
  Cluster cluster(1, 2, groups());
  cluster.start();
  for (int i = 1; i <= 20; ++i) {
    ask(cluster.member(1), i % 2, second, "one more");
    Asker asker;
    cluster.member(1).on(0, [&](Service& service) {
      service.query(request(asker, 1, second, "how many", service.now() + long_enough));
    });
    const auto heard = asker.wait_for(1);
    ASSERT_EQ(heard.size(), 1u);
    EXPECT_EQ(heard[0].status, BOP_OK) << heard[0].detail;
    EXPECT_EQ(heard[0].body, std::to_string(i));
  }
}

TEST(CrossShard, what_the_other_shard_refuses_is_refused_with_its_reason) {
  Cluster cluster(1, 2, groups());
  cluster.start();
  Member& member = cluster.member(1);
  const Asker::Heard refused = ask(member, 0, second, "refuse this");
  EXPECT_EQ(refused.status, BOP_E_CONDITION_FAILED);
  EXPECT_EQ(refused.body, "refuse this");
  EXPECT_GT(refused.index, 0u);
  const Asker::Heard too_large = ask(member, 0, second, std::string((2 << 20) + 1, 'x'));
  EXPECT_EQ(too_large.status, BOP_E_TOO_LARGE);
  EXPECT_EQ(too_large.detail, "a request of 2097153 bytes; the limit is 2097152");
  EXPECT_EQ(ask(member, 0, 77, "x").status, BOP_E_NO_GROUP);
  EXPECT_EQ(ask(member, 1, 77, "x").status, BOP_E_NO_GROUP);
}

TEST(CrossShard, a_front_end_of_one_machine_is_refused_a_group_that_runs_another_by_its_name) {
  Cluster cluster(1, 2, groups());
  cluster.start();
  for (const uint32_t shard : {0u, 1u}) {
    cluster.member(1).on(shard, [](Service& service) {
      EXPECT_EQ(service.machine_of(first), "echo");
      EXPECT_EQ(service.machine_of(second), "echo");
      EXPECT_EQ(service.machine_of(77), "");
      EXPECT_EQ(service.find_group_running("echo", "group2").value_or(0), second);
      const auto refused = service.find_group_running("kv", "group2");
      ASSERT_FALSE(refused);
      EXPECT_EQ(refused.error().code, BOP_E_UNSUPPORTED);
      EXPECT_EQ(refused.error().detail,
                "group group2 runs the machine echo, these are commands of kv");
      const auto missing = service.find_group_running("kv", "nowhere");
      ASSERT_FALSE(missing);
      EXPECT_EQ(missing.error().code, BOP_E_NO_GROUP);
    });
  }
}

TEST(CrossShard, a_deadline_holds_on_the_other_shard_too) {
  Cluster cluster(1, 2, with_a_leaderless_group());
  cluster.start();
  const Instant asked = io::Loop::read_clock();
  const Asker::Heard heard = ask(cluster.member(1), 0, leaderless, "x", 200 * milliseconds);
  EXPECT_EQ(heard.status, BOP_E_UNAVAILABLE);
  EXPECT_EQ(heard.detail, "no leader was known before the deadline");
  EXPECT_GE(heard.at - asked, 200 * milliseconds);
  EXPECT_LT(heard.at - asked, long_enough);
}

TEST(CrossShard, a_request_without_a_deadline_is_not_late_on_the_other_shard) {
  Cluster cluster(1, 2, groups());
  cluster.start();
  ask(cluster.member(1), 0, second, "so that there is a leader");
  Asker asker;
  cluster.member(1).on(0, [&](Service& service) {
    service.propose(request(asker, 1, second, "x", never));
    service.query(request(asker, 2, second, "x", never));
  });
  for (const Asker::Heard& heard : asker.wait_for(2)) EXPECT_EQ(heard.status, BOP_OK);
}

TEST(CrossShard, what_one_caller_asks_of_a_group_is_done_in_its_order) {
  constexpr uint64_t commands = 3000;
  Cluster cluster(1, 2, groups());
  cluster.start();
  ask(cluster.member(1), 0, second, "so that there is a leader");
  Asker asker;
  for (uint64_t token = 0; token < commands;) {  // several turns
    cluster.member(1).on(0, [&](Service& service) {
      for (int i = 0; i < 50; ++i, ++token)
        propose(service, asker, token, second, std::to_string(token));
    });
  }
  const auto heard = asker.wait_for(commands);
  ASSERT_EQ(heard.size(), commands);
  for (uint64_t i = 0; i < commands; ++i) {
    EXPECT_EQ(heard[i].status, BOP_OK);
    EXPECT_EQ(heard[i].token, i);
    EXPECT_EQ(heard[i].body, std::to_string(i));
    EXPECT_TRUE(i == 0 || heard[i].index > heard[i - 1].index);
  }
}

TEST(CrossShard, all_shards_ask_all_others_at_once) {
  constexpr uint32_t contexts = 3;
  constexpr uint64_t rounds = 40, batch = 25;
  std::vector<GroupSpec> specs;
  for (uint32_t shard = 0; shard < contexts; ++shard) specs.push_back(group(shard + 1, shard));
  Cluster cluster(1, contexts, specs);
  cluster.start();
  Asker askers[contexts];
  for (uint64_t round = 0; round < rounds; ++round) {
    for (uint32_t shard = 0; shard < contexts; ++shard) {
      cluster.member(1).on(shard, [&](Service& service) {
        for (uint64_t i = 0; i < batch; ++i)
          for (GroupId to = 1; to <= contexts; ++to)
            propose(service, askers[shard], round * batch + i, to, std::to_string(to));
      });
    }
  }
  for (Asker& asker : askers) {
    const auto heard = asker.wait_for(rounds * batch * contexts);
    ASSERT_EQ(heard.size(), rounds * batch * contexts);
    std::map<std::string, uint64_t> next;  // by group
    for (const Asker::Heard& one : heard) {
      EXPECT_EQ(one.status, BOP_OK) << one.detail;
      EXPECT_EQ(one.token, next[one.body]++);
      EXPECT_EQ(one.thread, heard.front().thread);
    }
  }
}

TEST(CrossShard, more_open_calls_than_the_bound_are_refused_and_later_ones_are_not) {
  constexpr size_t bound = CrossShardService::max_open_calls, more = 100;
  Cluster cluster(1, 2, with_a_leaderless_group());
  cluster.start();
  ask(cluster.member(1), 0, second, "so that there is a leader");
  Asker asker;
  cluster.member(1).on(0, [&](Service& service) {
    for (size_t i = 0; i < bound + more; ++i)
      propose(service, asker, i, leaderless, "x", 3 * seconds);
  });
  const auto heard = asker.wait_for(bound + more);
  ASSERT_EQ(heard.size(), bound + more);
  std::vector<int> answers(bound + more);
  size_t refused = 0;
  for (const Asker::Heard& one : heard) {
    ++answers[one.token];
    if (one.detail != "too many requests wait for other shards") continue;
    EXPECT_EQ(one.status, BOP_E_OVERLOADED);
    EXPECT_GE(one.token, bound);
    ++refused;
  }
  EXPECT_EQ(refused, more);
  for (const int times : answers) EXPECT_EQ(times, 1);
  EXPECT_EQ(ask(cluster.member(1), 0, second, "again").status, BOP_OK);
}

TEST(CrossShard, stopping_waits_for_what_crosses) {
  constexpr size_t calls = 500;
  Cluster cluster(1, 2, groups());
  cluster.start();
  Member& member = cluster.member(1);
  ask(member, 0, second, "so that there is a leader");
  ask(member, 1, first, "here too");
  Asker asker;
  std::promise<size_t> heard_when_stopped;
  member.on(0, [&](Service& service) {
    for (size_t i = 0; i < calls; ++i) propose(service, asker, i, second, "x");
    member.node().stop(long_enough, [&] { heard_when_stopped.set_value(asker.heard().size()); });
  });
  EXPECT_EQ(heard_when_stopped.get_future().get(), calls);
}

TEST(CrossShard, stopping_ends_after_its_grace_when_a_call_to_another_shard_stays_open) {
  Cluster cluster(1, 2, with_a_leaderless_group());
  cluster.start();
  Asker asker;
  cluster.member(1).on(0, [&](Service& service) {
    propose(service, asker, 1, leaderless, "x", 3600 * seconds);
    propose(service, asker, 2, leaderless, "y", never - service.now());
  });
  EXPECT_TRUE(cluster.member(1).stop(300 * milliseconds));
  for (const Asker::Heard& heard : asker.wait_for(2)) EXPECT_EQ(heard.status, BOP_E_STOPPED);
}

TEST(CrossShard, a_status_lists_the_groups_of_all_shards_and_ends_where_it_was_asked) {
  Cluster cluster(1, 2, groups());
  cluster.start();
  for (int i = 0; i < 200; ++i) {
    const uint32_t shard = i % 2;
    // Not atomic: only ever used and destroyed on the thread that asked.
    struct Kept {
      ~Kept() { *destroyed_on = std::this_thread::get_id(); }
      std::thread::id* destroyed_on;
    };
    std::thread::id destroyed_on, asked_on;
    std::promise<NodeStatus> given;
    cluster.member(1).on(shard, [&](Service& service) {
      asked_on = std::this_thread::get_id();
      service.status([&, kept = std::make_shared<Kept>(&destroyed_on)](NodeStatus status) {
        given.set_value(std::move(status));
      });
    });
    const NodeStatus status = given.get_future().get();
    ASSERT_EQ(status.groups.size(), 2u);
    EXPECT_EQ(status.groups[0].name, "group1");
    EXPECT_EQ(status.groups[1].name, "group2");
    cluster.member(1).on(1 - shard, [](Service&) {});
    cluster.member(1).on(shard, [](Service&) {});
    EXPECT_EQ(destroyed_on, asked_on);
  }
}

TEST(CrossShard, a_status_says_which_group_is_halted_and_why) {
  Cluster cluster(1, 2, groups());
  cluster.start();
  Member& node = cluster.member(1);
  EXPECT_EQ(ask(node, 0, first, "x").status, BOP_OK);
  EXPECT_NE(ask(node, 0, second, "fail").status, BOP_OK);
  const NodeStatus status = node.status();
  ASSERT_EQ(status.groups.size(), 2u);
  EXPECT_EQ(status.groups[0].halted, BOP_OK);
  EXPECT_EQ(status.groups[0].reason, "");
  EXPECT_EQ(status.groups[1].halted, BOP_E_MACHINE);
  EXPECT_NE(status.groups[1].reason, "");
  EXPECT_FALSE(status.log_latched);
}

TEST(CrossShard, a_node_is_ready_when_the_groups_of_all_its_shards_are) {
  for (const bool all : {true, false}) {
    Cluster cluster(1, 2, all ? groups() : with_a_leaderless_group());
    cluster.start();
    ask(cluster.member(1), 0, first, "x");
    ask(cluster.member(1), 0, second, "x");
    const Instant until = io::Loop::read_clock() + (all ? long_enough : 500 * milliseconds);
    bool ready = false;
    while (!ready && io::Loop::read_clock() < until)
      ready = not_ready_reasons(cluster.member(1).status()).empty();
    EXPECT_EQ(ready, all);
  }
}

// ---- between nodes ----

TEST(CrossShard, groups_on_every_shard_agree_between_nodes_through_any_shard) {
  Cluster cluster(3, 2, groups());
  cluster.start();
  uint64_t commands = 0;
  for (int round = 0; round < 5; ++round) {
    for (NodeId node = 1; node <= 3; ++node) {
      for (const uint32_t shard : {0u, 1u}) {
        for (const GroupId to : {first, second}) {
          const Asker::Heard heard = ask(cluster.member(node), shard, to, "hello");
          EXPECT_EQ(heard.status, BOP_OK) << heard.detail;
          EXPECT_EQ(heard.body, "hello");
        }
        ++commands;
      }
    }
  }
  for (NodeId node = 1; node <= 3; ++node) {
    for (const GroupId to : {first, second}) {
      Asker asker;
      cluster.member(node).on(0, [&](Service& service) {
        service.query(request(asker, 1, to, "how many", service.now() + long_enough));
      });
      const auto heard = asker.wait_for(1);
      ASSERT_EQ(heard.size(), 1u);
      EXPECT_EQ(heard[0].body, std::to_string(commands));
    }
    EXPECT_EQ(cluster.member(node).status().groups.size(), 2u);
  }
}

// ---- bounds; two loops that the test turns by hand ----

class ByHand : public ::testing::Test {
 protected:
  // What the connections were given.
  struct Sent final : port::Transport {
    void set_receiver(port::TransportReceiver*) override {}
    bool send(NodeId to, port::Channel channel, std::span<const mem::Buffer> parts) override {
      Frame frame{to, channel, {}};
      for (const mem::Buffer& part : parts)
        frame.bytes.append(part.data(), part.data() + part.size());
      frames.push_back(std::move(frame));
      return true;
    }
    uint64_t queued_bytes(NodeId, port::Channel) const override { return 0; }
    struct Frame {
      NodeId to;
      port::Channel channel;
      std::string bytes;
    };
    std::vector<Frame> frames;
  };

  ByHand() {
    options_.self = 1;
    options_.peers = {{2, "there"}};
    options_.groups = groups();
    options_.fresh = true;
    options_.log.segment_bytes = 1 << 20;
    options_.log.max_bytes = 8 << 20;
    std::vector<ShardContext> contexts;
    for (uint32_t shard = 0; shard < 2; ++shard) {
      io::Loop& loop = loops_[shard];
      disks_.push_back(std::make_unique<sim::Disk>(
          shard, [&loop](Duration, std::function<void()> task) { loop.post(std::move(task)); }));
      contexts.push_back({.clock = loop,
                          .timers = loop,
                          .post = loop,
                          .files = *disks_[shard],
                          .make_worker = [&loop] { return io::make_worker(loop, "machine"); }});
    }
    node_ = std::make_unique<Node>(options_, std::move(contexts), sent_,
                                   [](std::string_view) { return testing::echo_machine(); });
  }
  ~ByHand() override {
    for (const auto& disk : disks_) disk->process_crash();
    node_.reset();
  }

  void turn() {
    for (io::Loop& loop : loops_) loop.run_turn(0);
  }
  template <class Done>
  void turn_until(Done done) {
    const Instant until = io::Loop::read_clock() + long_enough;
    while (!done() && io::Loop::read_clock() < until) turn();
    ASSERT_TRUE(done());
  }

  ShardOptions options_;
  Sent sent_;
  io::Loop loops_[2];
  std::vector<std::unique_ptr<sim::Disk>> disks_;
  std::unique_ptr<Node> node_;
};

TEST_F(ByHand, frames_to_peers_cross_whole_and_in_order) {
  CrossShardTransport transport(*node_, 1);
  for (int i = 0; i < 4; ++i) {
    const mem::Buffer parts[] = {buffer("frame "), buffer(std::to_string(i))};
    EXPECT_TRUE(transport.send(2 + i % 2, port::Channel(i / 2), parts));
  }
  EXPECT_EQ(transport.queued_bytes(2, port::Channel::bulk), 28u);
  loops_[0].run_turn(0);
  EXPECT_TRUE(sent_.frames.empty());  // one batch, at the end of a turn
  loops_[1].run_turn(0);
  loops_[0].run_turn(0);
  ASSERT_EQ(sent_.frames.size(), 4u);
  for (int i = 0; i < 4; ++i) {
    EXPECT_EQ(sent_.frames[i].to, 2u + i % 2);
    EXPECT_EQ(sent_.frames[i].channel, port::Channel(i / 2));
    EXPECT_EQ(sent_.frames[i].bytes, "frame " + std::to_string(i));
  }
  EXPECT_EQ(transport.queued_bytes(2, port::Channel::bulk), 0u);
}

TEST_F(ByHand, while_the_first_shard_stands_still_frames_to_peers_take_bounded_memory) {
  CrossShardTransport transport(*node_, 1);
  const mem::Buffer mebibyte = buffer(std::string(1 << 20, 'x'));
  uint64_t taken = 0;
  while (transport.send(2, port::Channel::bulk, {&mebibyte, 1}) && taken < 1000) {
    ++taken;
    loops_[1].run_turn(0);
  }
  const uint64_t most = ShardOptions().peer_queue_bytes / 2;
  EXPECT_EQ(taken, (most >> 20) + 1);
  EXPECT_GT(transport.queued_bytes(2, port::Channel::bulk), most);
  EXPECT_TRUE(sent_.frames.empty());
  loops_[0].run_turn(0);
  EXPECT_EQ(sent_.frames.size(), taken);
  EXPECT_EQ(transport.queued_bytes(2, port::Channel::bulk), 0u);
  EXPECT_TRUE(transport.send(2, port::Channel::bulk, {&mebibyte, 1}));
}

TEST_F(ByHand, while_another_shard_stands_still_frames_for_it_take_bounded_memory) {
  bool opened = false;
  node_->open([&](const Status& status) { opened = status.has_value(); });
  turn_until([&] { return opened; });
  node_->start();
  node_->on_channel(2, port::Channel::control, true);
  node_->on_channel(2, port::Channel::bulk, true);
  for (int i = 0; i < 10; ++i) turn();

  // What node 2 forwards to the second shard, which does not lead and says so for each.
  proto::PeerHeader header;
  header.from = 2;
  header.to = 1;
  header.epoch = 1;
  proto::PeerFrameWriter writer;
  const mem::Buffer mebibyte = buffer(std::string(1 << 20, 'x'));
  uint64_t sequence = 0;
  const auto give = [&](uint64_t frames) {
    for (uint64_t i = 0; i < frames; ++i) {
      writer.begin(header);
      ASSERT_TRUE(writer.add(proto::ForwardItem{.group = second,
                                                .sequence = ++sequence,
                                                .leader_term = 1,
                                                .deadline_left = 1 * seconds,
                                                .payload = mebibyte}));
      std::string bytes;
      for (const mem::Buffer& part : writer.finish())
        bytes.append(part.data(), part.data() + part.size());
      EXPECT_TRUE(node_->on_frame(2, buffer(bytes)));
    }
  };
  const auto refused = [&] {
    uint64_t count = 0;
    proto::PeerDecoder decoder;
    for (const Sent::Frame& frame : sent_.frames) {
      const auto decoded = decoder.decode(buffer(frame.bytes));
      EXPECT_TRUE(decoded);
      for (const proto::PeerItem& item : decoded->items)
        if (const auto* reply = std::get_if<proto::ForwardReplyItem>(&item))
          count += reply->status == BOP_E_NOT_LEADER;
    }
    return count;
  };
  give(100);
  for (int i = 0; i < 10; ++i) turn();
  EXPECT_GT(refused(), 30u);
  EXPECT_LE(refused(), 33u);
  const uint64_t before = refused();
  give(1);  // it moves again
  turn_until([&] { return refused() == before + 1; });
}

TEST_F(ByHand, a_node_whose_first_entries_cannot_be_written_says_so_when_it_opens) {
  std::optional<Status> opened;
  node_->open([&](const Status& status) { opened = status; });
  loops_[1].run_turn(0);  // its log is made, and the write under way
  disks_[1]->fail(sim::DiskOperation::write, BOP_E_IO);
  turn_until([&] { return opened.has_value(); });
  ASSERT_FALSE(*opened);
  EXPECT_EQ(opened->error().code, BOP_E_LATCHED);
  EXPECT_NE(opened->error().to_string().find("shard 1"), std::string::npos);
}

}  // namespace
}  // namespace bop::node

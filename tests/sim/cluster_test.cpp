// What a simulated cluster of real nodes does on networks that a test makes, where a random run would
// meet them too rarely or could not tell.
#include <gtest/gtest.h>

#include <array>
#include <cstdio>
#include <map>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "base/logging.h"
#include "group/replica.h"
#include "proto/kv.h"
#include "proto/peer.h"
#include "sim/explain.h"
#include "sim/network.h"
#include "sim/node.h"
#include "sim/state_checker.h"

namespace bop::sim {
namespace {

// Three nodes, one group, election timeout 1 s.
class SimulatedCluster : public testing::Test, public port::Completion {
 protected:
  void start(const NetworkOptions& options = {}) {
    network_ = std::make_unique<Network>(scheduler_, harness_, options);
    network_->watch_control([this](const mem::Buffer& frame) {
      const auto decoded = decoder_.decode(frame);
      ASSERT_TRUE(decoded.has_value());
      for (const proto::PeerItem& item : decoded->items) {
        const auto* raft = std::get_if<proto::RaftItem>(&item);
        if (raft != nullptr) checker_.sent(raft->group, raft->message);
      }
      decoder_.clear();
    });
    NodeSettings settings;
    node::GroupSpec group;
    group.name = "kv";
    group.id = 1;
    group.machine_options.memory_bytes = 4 << 20;
    settings.shard.groups = {group};
    settings.shard.log.segment_bytes = 2 << 20;
    settings.shard.log.max_bytes = 64 << 20;
    for (NodeId id = 1; id <= 3; ++id) settings.shard.peers.push_back({id, "simulated"});
    for (NodeId id = 1; id <= 3; ++id) {
      nodes_.push_back(
          std::make_unique<Node>(scheduler_, harness_, *network_, checker_, id, settings));
      nodes_.back()->start();
    }
    ASSERT_TRUE(run_until(30 * seconds, [&] { return leader() != 0; }));
  }
  ~SimulatedCluster() override {
    EXPECT_FALSE(checker_.violation()) << *checker_.violation();
    nodes_.clear();
  }

  Node& node(NodeId id) { return *nodes_[id - 1]; }
  // The one that leads in the highest term; 0: none.
  NodeId leader() {
    NodeId found = 0;
    Term term = 0;
    for (const auto& node : nodes_) {
      const group::Replica* replica = node->replica(1);
      if (replica == nullptr || !replica->leads() || replica->core()->term() < term) continue;
      found = node->id();
      term = replica->core()->term();
    }
    return found;
  }
  NodeId follower() { return leader() == 1 ? 2 : 1; }

  template <class Done>
  bool run_until(Duration at_most, Done done) {
    const Instant limit = scheduler_.now() + at_most;
    while (!done())
      if (!scheduler_.run_turn(limit)) return false;
    return true;
  }
  void run(Duration time) { scheduler_.run_until(scheduler_.now() + time); }

  uint64_t put(NodeId to, size_t bytes, Duration deadline) {
    const std::string value(bytes, 'x');
    proto::KvOperation operation;
    operation.op = BOP_KV_PUT;
    operation.key = as_bytes("key");
    operation.value = as_bytes(value);
    return ask(to, true, proto::encode_kv_command(arena_, {&operation, 1}), deadline);
  }
  uint64_t get(NodeId of, Duration deadline) {
    const Bytes key = as_bytes("key");
    return ask(of, false, proto::encode_kv_get(arena_, {&key, 1}), deadline);
  }
  void complete(uint64_t token, const port::Outcome& answer) override {
    answers_[token] = answer.status;
  }
  bool answered(uint64_t token) const { return answers_.contains(token); }
  // Waits for it.
  bop_status outcome(uint64_t token) {
    EXPECT_TRUE(run_until(60 * seconds, [&] { return answered(token); }));
    return answers_[token];
  }

  Scheduler scheduler_{1};
  Thread harness_{scheduler_, 0, {}};
  std::unique_ptr<Network> network_;
  StateChecker checker_{scheduler_};
  proto::PeerDecoder decoder_;
  std::vector<std::unique_ptr<Node>> nodes_;

 private:
  uint64_t ask(NodeId of, bool command, mem::Buffer payload, Duration deadline) {
    const uint64_t token = ++tokens_;
    if (command) checker_.proposed(1, hash_of_command(payload.bytes()));
    node(of).thread(0).after(0, "request", [=, this, payload = std::move(payload)]() mutable {
      node::Service& service = node(of).service(0);
      port::Request request;
      request.group = 1;
      request.payload = std::move(payload);
      request.deadline = service.now() + deadline;
      request.completion = this;
      request.token = token;
      if (command)
        service.propose(std::move(request));
      else
        service.query(std::move(request));
    });
    return token;
  }

  mem::Arena arena_;
  uint64_t tokens_ = 0;
  std::map<uint64_t, bop_status> answers_;
};

TEST_F(SimulatedCluster, serves_reads_and_writes_where_a_round_trip_takes_600_ms) {
  NetworkOptions far;
  far.quality.shortest = far.quality.longest = 300 * milliseconds;
  start(far);
  run(5 * seconds);
  const NodeId leads = leader();
  for (const NodeId of : {leads, follower()}) {
    EXPECT_EQ(outcome(put(of, 100, 5 * seconds)), BOP_OK) << "node " << of;
    const Instant asked = scheduler_.now();
    EXPECT_EQ(outcome(get(of, 5 * seconds)), BOP_OK) << "node " << of;
    EXPECT_LT(scheduler_.now() - asked, 1300 * milliseconds) << "node " << of;
  }
  EXPECT_EQ(leader(), leads);
}

TEST_F(SimulatedCluster, gets_another_leader_when_large_frames_of_the_leader_vanish) {
  start();
  EXPECT_EQ(outcome(put(leader(), 10'000, 5 * seconds)), BOP_OK);
  const NodeId first = leader();
  for (const auto& to : nodes_)
    if (to->id() != first) network_->drop_frames_above(first, to->id(), 700);
  const uint64_t lost = put(first, 10'000, 5 * seconds);
  EXPECT_TRUE(run_until(6 * seconds, [&] { return leader() != 0 && leader() != first; }));
  // The others serve, also what comes by the node whose frames vanish: a forward is one if it is large.
  EXPECT_EQ(outcome(put(leader(), 10'000, 5 * seconds)), BOP_OK);
  EXPECT_EQ(outcome(put(first, 100, 5 * seconds)), BOP_OK);
  EXPECT_TRUE(run_until(10 * seconds, [&] { return answered(lost); }));
  const NodeId second = leader();
  EXPECT_NE(second, first);
  run(20 * seconds);
  EXPECT_EQ(leader(), second) << "and stay with it";
}

// A link that is slow is not one that loses frames: nobody steps down, however much is to be sent.
TEST_F(SimulatedCluster, keeps_its_leader_under_load_on_slow_links) {
  NetworkOptions slow;
  slow.quality.bytes_per_second = 300'000;
  start(slow);
  run(2 * seconds);
  const NodeId first = leader();
  std::vector<uint64_t> puts;
  for (int i = 0; i < 40; ++i) puts.push_back(put(first, 100'000, 60 * seconds));
  for (const uint64_t token : puts) EXPECT_EQ(outcome(token), BOP_OK);
  EXPECT_EQ(leader(), first);
  EXPECT_EQ(node(first).replica(1)->core()->term(), 2u);
}

TEST_F(SimulatedCluster, serves_again_when_its_leader_loses_power_while_it_is_quiesced) {
  start();
  EXPECT_EQ(outcome(put(leader(), 100, 5 * seconds)), BOP_OK);
  const auto quiesced = [&](NodeId id) { return node(id).replica(1)->core()->quiesced(); };
  ASSERT_TRUE(run_until(30 * seconds, [&] { return quiesced(1) && quiesced(2) && quiesced(3); }));
  const NodeId first = leader();
  node(first).crash(Ending::power);  // its peers hear nothing of it
  const NodeId other = first == 1 ? 2 : 1;
  // What is forwarded before anybody noticed is lost with the leader.
  EXPECT_EQ(outcome(put(other, 100, 20 * seconds)), BOP_E_OUTCOME_UNKNOWN);
  EXPECT_EQ(outcome(put(other, 100, 5 * seconds)), BOP_OK);
}

TEST_F(SimulatedCluster, explains_who_became_leader_and_what_passed_between_the_nodes) {
  char* text = nullptr;
  size_t size = 0;
  std::FILE* file = open_memstream(&text, &size);
  Explainer explainer(file, true);
  explainer.follow(&scheduler_);
  ASSERT_TRUE(logging::start(
      {.level = logging::Level::debug,
       .sink = [&](logging::Level level, std::string_view line) { explainer.log(level, line); }}));
  start();
  network_->watch_frames(
      [&](NodeId from, NodeId to, port::Channel channel, Bytes frame, std::string_view fate) {
        explainer.frame(from, to, channel, frame, fate);
      });
  EXPECT_EQ(outcome(put(leader(), 100, 5 * seconds)), BOP_OK);
  logging::stop();
  std::fclose(file);
  const std::string story(text, size);
  std::free(text);
  const std::string leads = "node " + std::to_string(leader());
  const std::string follows = "node " + std::to_string(follower());
  for (const std::string& line :
       {" " + leads + " info group kv, term 2: leader of term 2: a majority voted",
        " " + follows + " debug group kv, term 2: granted its vote to " + leads,
        " " + follows + " info group kv, term 2: following " + leads,
        std::string(" bulk arrives: group 1 append_request term 2 log_term 2 index ")}) {
    EXPECT_NE(story.find(line), std::string::npos) << line << "\nis not in\n" << story;
  }
}

}  // namespace
}  // namespace bop::sim

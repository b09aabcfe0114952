#include "net/peer_transport.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <list>
#include <map>
#include <memory>
#include <sstream>
#include <string>
#include <tuple>
#include <vector>

#include "base/bytes.h"
#include "base/logging.h"
#include "base/random.h"
#include "rig.h"

namespace bop::tests {
namespace {

using port::Channel;

constexpr uint32_t magic = 0x54534554;

mem::Buffer make_frame(Bytes body) {
  std::vector<uint8_t> bytes;
  Writer writer(bytes);
  writer.u32(magic);
  writer.u32(static_cast<uint32_t>(8 + body.size()));
  writer.bytes(body);
  return mem::Buffer::copy(bytes);
}

// Hello and answer: kind, cluster, node, channel, incarnation, instance; a refusal has a status.
class Handshake final : public net::PeerHandshake {
 public:
  Handshake(NodeId self, uint64_t cluster, uint64_t incarnation, uint64_t instance = 0)
      : self_(self), cluster_(cluster), incarnation_(incarnation), instance_(instance) {}

  mem::Buffer hello(NodeId, Channel channel) override { return write(1, channel, BOP_OK); }

  Greeting read_hello(const mem::Buffer& frame) override {
    Greeting greeting;
    greeting.verdict =
        read(frame, 1, greeting.from, greeting.channel, greeting.introduction.instance);
    greeting.introduction.address = told_addresses[greeting.from];
    return greeting;
  }

  mem::Buffer answer(NodeId, Channel channel, const Status& verdict) override {
    return write(2, channel, verdict ? BOP_OK : verdict.error().code);
  }

  Answer read_answer(NodeId from, Channel channel, const mem::Buffer& frame) override {
    Answer answer;
    NodeId node = 0;
    Channel answered = Channel::control;
    answer.their_verdict = read_refusal(from, frame);
    answer.verdict = read(frame, 2, node, answered, answer.introduction.instance);
    answer.introduction.address = told_addresses[from];
    if (answer.verdict && (node != from || answered != channel))
      answer.verdict = fail(BOP_E_PROTOCOL, "another's answer");
    return answer;
  }

  Status read_refusal(NodeId, const mem::Buffer& frame) override {
    Reader reader(frame.bytes().subspan(8));
    const bool answer = reader.u8() == 2;
    reader.u8();
    const auto status = static_cast<bop_status>(reader.read<int32_t>());
    if (!answer || frame.size() != answer_bytes || status == BOP_OK) return {};
    return fail(status, "they refuse");
  }

  std::map<NodeId, uint64_t> known_incarnations;
  std::map<NodeId, std::string> told_addresses;  // as if their introductions had them

 private:
  mem::Buffer write(uint8_t kind, Channel channel, bop_status status) {
    std::vector<uint8_t> body;
    Writer writer(body);
    writer.u8(kind);
    writer.u8(static_cast<uint8_t>(channel));
    writer.put(static_cast<int32_t>(status));
    writer.u64(cluster_);
    writer.u64(self_);
    writer.u64(incarnation_);
    writer.u64(instance_);
    BOP_ASSERT_EQ(8 + body.size(), answer_bytes);
    return make_frame(body);
  }
  Status read(const mem::Buffer& frame, uint8_t kind, NodeId& node, Channel& channel,
              uint64_t& instance) {
    Reader reader(frame.bytes().subspan(8));
    const bool good = reader.u8() == kind;
    channel = static_cast<Channel>(reader.u8() & 1);
    reader.read<int32_t>();
    const uint64_t cluster = reader.u64();
    node = reader.u64();
    const uint64_t incarnation = reader.u64();
    instance = reader.u64();
    if (!reader.complete() || !good) return fail(BOP_E_PROTOCOL, "no hello");
    if (cluster != cluster_) return fail(BOP_E_WRONG_CLUSTER);
    const auto known = known_incarnations.try_emplace(node, incarnation).first->second;
    if (incarnation != known) return fail(BOP_E_WRONG_INCARNATION);
    return {};
  }

  static constexpr size_t answer_bytes = 8 + 2 + 4 + 4 * 8;
  const NodeId self_;
  const uint64_t cluster_, incarnation_, instance_;
};

struct Got {
  NodeId from;
  std::string body;
};

struct Node final : port::TransportReceiver {
  Node(io::Loop& loop, NodeId id, uint64_t cluster = 1, uint64_t incarnation = 1,
       uint64_t instance = 0)
      : id(id), streams(loop), handshake(id, cluster, incarnation, instance) {
    options.self = id;
    options.listen = {.host = "127.0.0.1", .port = 0, .path = {}};
    options.frames = {.magic = magic, .min_bytes = 8, .max_bytes = 4u << 20};
    options.first_retry = 1 * milliseconds;
    options.longest_retry = 20 * milliseconds;
    options.seed = id;
  }

  // Chooses a port. The peers' addresses are known when all nodes have one.
  void listen() {
    auto first = net::PeerTransport::open(streams, options, handshake, registry);
    ASSERT_TRUE(first.has_value()) << first.error().to_string();
    options.listen = (*first)->address();
    first->reset();
  }
  void open() {
    auto opened = net::PeerTransport::open(streams, options, handshake, registry);
    ASSERT_TRUE(opened.has_value()) << opened.error().to_string();
    transport = std::move(*opened);
    transport->set_receiver(this);
  }
  void start() {
    open();
    transport->start();
  }
  void stop() { transport.reset(); }

  bool send(NodeId to, Channel channel, std::string_view body) {
    const mem::Buffer parts[] = {make_frame(as_bytes(body))};
    return transport->send(to, channel, parts);
  }
  bool up(NodeId node) {
    return transport->up(node, Channel::control) && transport->up(node, Channel::bulk);
  }

  Status on_frame(NodeId from, mem::Buffer frame) override {
    got.push_back({from, std::string(as_text(frame.bytes().subspan(8)))});
    return got.back().body == "malformed" ? fail(BOP_E_PROTOCOL, "malformed") : Status();
  }
  void on_refused(NodeId node, const Error& reason) override {
    refused.emplace_back(node, reason.code);
  }
  void on_second_process(NodeId node, const std::string&) override { second.push_back(node); }
  void on_channel(NodeId node, Channel channel, bool up) override {
    channels.emplace_back(node, channel, up);
  }

  const NodeId id;
  net::Streams streams;
  metrics::Registry registry;
  Handshake handshake;
  net::PeerOptions options;
  std::unique_ptr<net::PeerTransport> transport;
  std::vector<Got> got;
  std::vector<std::tuple<NodeId, Channel, bool>> channels;
  std::vector<std::pair<NodeId, bop_status>> refused;  // this node, by whom and why
  std::vector<NodeId> second;                          // node ids that two processes use
};

class PeerTransport : public testing::Test {
 protected:
  Node& add(NodeId id, uint64_t cluster = 1, uint64_t incarnation = 1, uint64_t instance = 0) {
    return add_on(loop, id, cluster, incarnation, instance);
  }
  Node& add_on(io::Loop& its_loop, NodeId id, uint64_t cluster = 1, uint64_t incarnation = 1,
               uint64_t instance = 0) {
    nodes.push_back(std::make_unique<Node>(its_loop, id, cluster, incarnation, instance));
    return *nodes.back();
  }
  void introduce() {
    for (auto& node : nodes) node->listen();
    for (auto& node : nodes) {
      for (auto& other : nodes) {
        if (other != node) node->options.peers.push_back({other->id, other->options.listen});
      }
    }
  }
  void start_all() {
    introduce();
    for (auto& node : nodes) node->start();
  }
  bool run_until(const std::function<bool()>& done) {
    const Instant latest = io::Loop::read_clock() + long_enough;
    while (!done()) {
      if (io::Loop::read_clock() > latest) return false;
      loop.run_turn(loop.now() + 1 * milliseconds);
    }
    return true;
  }

  io::Loop loop;
  std::vector<std::unique_ptr<Node>> nodes;
};

TEST_F(PeerTransport, three_nodes_connect_on_both_channels_and_report_it) {
  for (NodeId id : {1, 2, 3}) add(id);
  start_all();
  for (auto& node : nodes) {
    for (auto& other : nodes) {
      if (node == other) continue;
      ASSERT_TRUE(run_until([&] { return node->up(other->id); }));
    }
    EXPECT_EQ(node->channels.size(), 4u);
    for (const auto& [peer, channel, up] : node->channels) EXPECT_TRUE(up) << peer;
  }
  // Each pair has one connection for each channel, used both ways.
  EXPECT_EQ(nodes[0]->streams.open_connections(), 4u);
}

TEST_F(PeerTransport, frames_of_every_size_arrive_whole_and_in_order_both_ways) {
  Node &a = add(1), &b = add(2);
  start_all();
  ASSERT_TRUE(run_until([&] { return a.up(2) && b.up(1); }));
  Random random(5);
  std::vector<std::string> sent;
  for (int i = 0; i < 300; ++i) {
    sent.emplace_back(random.below(i % 10 == 0 ? 700'000 : 3000), static_cast<char>('a' + i % 26));
    ASSERT_TRUE(run_until([&] { return a.send(2, Channel::bulk, sent.back()); }));
    ASSERT_TRUE(run_until([&] { return b.send(1, Channel::bulk, sent.back()); }));
  }
  for (Node* node : {&a, &b}) {
    ASSERT_TRUE(run_until([&] { return node->got.size() == sent.size(); }));
    for (size_t i = 0; i < sent.size(); ++i) {
      EXPECT_EQ(node->got[i].from, 3 - node->id);
      ASSERT_TRUE(node->got[i].body == sent[i]) << i;
    }
  }
  EXPECT_EQ(a.transport->counters(2).sent_frames.value(), 300u);
  EXPECT_EQ(a.transport->counters(2).received_frames.value(), 300u);
  EXPECT_EQ(a.transport->counters(2).sent_bytes.value(),
            b.transport->counters(1).received_bytes.value());
}

TEST_F(PeerTransport, a_frame_is_the_concatenation_of_its_parts) {
  Node &a = add(1), &b = add(2);
  start_all();
  ASSERT_TRUE(run_until([&] { return a.up(2) && b.up(1); }));
  const std::string body(5000, 'x');
  const mem::Buffer frame = make_frame(as_bytes(body));
  const mem::Buffer parts[] = {frame.slice(0, 3), frame.slice(3, 100), frame.slice(103, 4000),
                               frame.slice(4103, frame.size() - 4103)};
  EXPECT_TRUE(a.transport->send(2, Channel::control, parts));
  ASSERT_TRUE(run_until([&] { return b.got.size() == 1; }));
  EXPECT_TRUE(b.got[0].body == body);
}

TEST_F(PeerTransport, frames_for_a_channel_that_is_down_are_dropped_and_reported) {
  Node& a = add(1);
  add(2);
  introduce();
  a.start();
  EXPECT_FALSE(a.send(2, Channel::control, "lost"));
  EXPECT_EQ(a.transport->counters(2).dropped_frames.value(), 1u);
  EXPECT_EQ(a.transport->queued_bytes(2, Channel::control), 0u);
}

TEST_F(PeerTransport, a_full_queue_drops_frames_and_does_not_affect_the_other_channel) {
  io::Loop paused;
  Node& a = add(1);
  Node& b = add_on(paused, 2);
  a.options.max_queued_bulk_bytes = 1'000'000;
  a.options.silence_limit = never;
  introduce();
  a.start();
  b.start();
  ASSERT_TRUE(run_until([&] {
    paused.run_turn(paused.now());
    return a.up(2);
  }));
  // Now b does not read.
  const std::string body(100'000, 'x');
  size_t accepted = 0, refused = 0;
  ASSERT_TRUE(run_until([&] {
    ++(a.send(2, Channel::bulk, body) ? accepted : refused);
    return refused == 10;
  }));
  EXPECT_LE(a.transport->queued_bytes(2, Channel::bulk), 1'000'000u);
  EXPECT_TRUE(a.send(2, Channel::control, "heartbeat"));
  // What was accepted arrives.
  ASSERT_TRUE(run_until([&] {
    paused.run_turn(paused.now());
    return b.got.size() == accepted + 1;
  }));
  EXPECT_TRUE(a.send(2, Channel::bulk, body));
  nodes.clear();
}

TEST_F(PeerTransport, broken_channels_are_connected_again) {
  Node &a = add(1), &b = add(2);
  start_all();
  for (int round = 0; round < 5; ++round) {
    ASSERT_TRUE(run_until([&] { return a.up(2) && b.up(1); }));
    (round % 2 ? a : b).transport->cut(round % 2 ? 2 : 1);
    EXPECT_FALSE((round % 2 ? a : b).up(round % 2 ? 2 : 1));
  }
  ASSERT_TRUE(run_until([&] { return a.up(2) && b.up(1); }));
  EXPECT_TRUE(a.send(2, Channel::control, "still here"));
  EXPECT_TRUE(run_until([&] { return b.got.size() == 1; }));
  // Each channel went up and down in turn.
  for (Channel channel : {Channel::control, Channel::bulk}) {
    bool expected = true;
    for (const auto& [peer, which, up] : a.channels) {
      if (which != channel) continue;
      EXPECT_EQ(up, expected);
      expected = !expected;
    }
  }
}

TEST_F(PeerTransport, a_peer_that_starts_later_or_again_is_found) {
  Node &a = add(1), &b = add(2), &c = add(3);
  introduce();
  a.start();
  c.start();
  ASSERT_TRUE(run_until([&] { return a.up(3) && c.up(1); }));
  EXPECT_FALSE(a.up(2));
  for (int round = 0; round < 3; ++round) {
    b.start();
    ASSERT_TRUE(run_until([&] { return a.up(2) && b.up(1) && b.up(3) && c.up(2); }));
    b.stop();
    ASSERT_TRUE(run_until([&] { return !a.up(2) && !c.up(2); }));
  }
}

TEST_F(PeerTransport, a_silent_peer_is_cut_off_and_found_again_when_it_wakes) {
  io::Loop paused;
  Node& a = add(1);
  Node& b = add_on(paused, 2);
  a.options.silence_limit = 20 * milliseconds;
  b.options.silence_limit = never;
  introduce();
  a.start();
  b.start();
  auto exchange = [&] {
    a.send(2, Channel::control, "heartbeat");
    b.send(1, Channel::control, "heartbeat");
    paused.run_turn(paused.now());
  };
  ASSERT_TRUE(run_until([&] {
    exchange();
    return a.up(2);
  }));
  const Instant start = loop.now();
  ASSERT_TRUE(run_until([&] {
    exchange();
    return loop.now() > start + 100 * milliseconds;
  }));
  EXPECT_TRUE(a.up(2));
  // b is paused: its operating system still acknowledges bytes, but it does not answer.
  ASSERT_TRUE(run_until([&] { return !a.up(2); }));
  a.got.clear();
  ASSERT_TRUE(run_until([&] {
    exchange();
    return a.up(2) && !a.got.empty();
  }));
  nodes.clear();
}

// The peer closes each connection at once. A wait is at least half of first_retry, doubled each time up to
// longest_retry: many attempts take a while, but not forever.
TEST_F(PeerTransport, attempts_to_a_peer_that_closes_connections_become_rarer_but_do_not_end) {
  constexpr unsigned waits = 16;  // without longest_retry, the last wait would take minutes
  Node& a = add(1);
  a.options.first_retry = 4 * milliseconds;
  a.options.longest_retry = 64 * milliseconds;
  Duration least = 0;
  for (unsigned i = 0; i < waits; ++i) {
    least += std::min(a.options.first_retry << i, a.options.longest_retry) / 2;
  }
  net::Streams streams(loop);
  unsigned calls = 0;
  auto peer = net::Acceptor::listen(
      loop, on_free_port(), {{&streams, [&](std::unique_ptr<net::Connection>) { ++calls; }}});
  ASSERT_TRUE(peer.has_value()) << peer.error().to_string();
  introduce();
  a.options.peers.push_back({2, (*peer)->address()});
  const Instant start = loop.now();
  a.start();
  // With that many attempts on two channels, one channel made more than `waits`.
  ASSERT_TRUE(run_until([&] { return calls > 2 * waits; }));
  EXPECT_GE(loop.now() - start, least);
}

TEST_F(PeerTransport, a_node_of_another_cluster_is_refused_and_the_others_stay_connected) {
  Node &a = add(1), &b = add(2), &foreign = add(3, 99);
  Node& first_foreign = add(0xf00, 99);
  (void)first_foreign;
  start_all();
  ASSERT_TRUE(run_until([&] { return a.up(2) && b.up(1); }));
  ASSERT_TRUE(run_until([&] {
    return foreign.transport->counters(1).refusals.value() +
               foreign.transport->counters(2).refusals.value() >
           5;
  }));
  EXPECT_FALSE(a.up(3));
  EXPECT_FALSE(foreign.up(1));
  EXPECT_TRUE(foreign.up(0xf00));
  EXPECT_TRUE(a.up(2));
}

TEST_F(PeerTransport, a_peer_with_another_incarnation_is_refused) {
  Node &a = add(1, 1, 7), &b = add(2, 1, 8);
  b.handshake.known_incarnations[1] = 6;  // a's directory was another one
  start_all();
  ASSERT_TRUE(run_until([&] { return b.transport->counters(1).refusals.value() > 3; }));
  EXPECT_FALSE(a.up(2));
  EXPECT_FALSE(b.up(1));
}

// A node that connects and is accepted, but does not accept the peer, tells it why.
TEST_F(PeerTransport, a_refused_peer_is_told_why_whichever_side_connects) {
  for (const auto& [refusing, refused] : {std::pair(1, 2), std::pair(2, 1)}) {
    nodes.clear();
    add(1, 1, 7);
    add(2, 1, 8);
    Node &a = *nodes[refusing - 1], &b = *nodes[refused - 1];
    a.handshake.known_incarnations[b.id] =
        6;  // b's directory was another one, which b does not know
    start_all();
    ASSERT_TRUE(run_until([&] { return b.refused.size() > 3; })) << refusing;
    for (const auto& [by, reason] : b.refused) {
      EXPECT_EQ(by, a.id);
      EXPECT_EQ(reason, BOP_E_WRONG_INCARNATION);
    }
    EXPECT_FALSE(a.up(b.id));
    EXPECT_TRUE(a.channels.empty());
  }
}

TEST_F(PeerTransport, a_refused_peer_logs_once_that_its_channel_went_down) {
  const std::string path = testing::TempDir() + "refused-peer.log";
  ASSERT_TRUE(logging::start({.path = path.c_str()}));
  Node &a = add(1, 1, 7), &b = add(2, 1, 8);
  a.handshake.known_incarnations[2] = 6;  // b's directory was another one, which b does not know
  start_all();
  ASSERT_TRUE(run_until([&] { return b.refused.size() > 9; }));
  a.stop();
  b.stop();
  logging::stop();
  std::stringstream logged;
  logged << std::ifstream(path).rdbuf();
  std::filesystem::remove(path);
  size_t count = 0;  // of what b logs
  for (std::string line; std::getline(logged, line);)
    count += line.find("node 1 ") != line.npos && line.find("WRONG_INCARNATION") != line.npos;
  EXPECT_EQ(count, 2u) << logged.str();  // channels
}

TEST_F(PeerTransport, a_node_whose_address_is_unknown_connects_to_the_others_whatever_its_id) {
  for (const NodeId moved : {1, 2}) {
    nodes.clear();
    Node &a = add(1), &b = add(2);
    introduce();
    // The address that the other node connects to has no listener any more.
    (moved == 1 ? b : a).options.peers[0].address = net::Address{"127.0.0.1", 1, {}};
    a.start();
    b.start();
    ASSERT_TRUE(run_until([&] { return a.up(2) && b.up(1); })) << moved;
    EXPECT_TRUE((moved == 1 ? b : a).send(moved, Channel::bulk, "found"));
    EXPECT_TRUE(run_until([&] { return nodes[moved - 1]->got.size() == 1; }));
  }
}

// ---- learned addresses ----

TEST_F(PeerTransport,
       two_nodes_that_both_moved_find_each_other_when_either_learns_the_others_address) {
  for (const NodeId told : {1, 2}) {
    nodes.clear();
    Node &a = add(1), &b = add(2);
    introduce();
    const net::Address of_a = a.options.listen, of_b = b.options.listen;
    a.options.peers = b.options.peers = {};
    a.options.peers.push_back({2, net::Address{"127.0.0.1", 1, {}}});
    b.options.peers.push_back({1, net::Address{"127.0.0.1", 1, {}}});
    a.start();
    b.start();
    if (told == 1)
      a.transport->learn_address(2, of_b.to_string());
    else
      b.transport->learn_address(1, of_a.to_string());
    ASSERT_TRUE(run_until([&] { return a.up(2) && b.up(1); })) << told;
    EXPECT_TRUE(a.send(2, Channel::bulk, "found"));
    EXPECT_TRUE(run_until([&] { return b.got.size() == 1; }));
  }
}

TEST_F(PeerTransport,
       a_peer_is_found_at_the_address_of_its_introduction_when_its_configured_one_fails) {
  Node &a = add(1), &b = add(2);
  introduce();
  a.handshake.told_addresses[2] = b.options.listen.to_string();
  a.options.peers[0].address = net::Address{"127.0.0.1", 1, {}};
  a.start();
  b.start();  // connects to a, and introduces itself
  ASSERT_TRUE(run_until([&] { return a.up(2) && b.up(1); }));
  // From now on b cannot connect to a, only accept its connections.
  b.stop();
  b.options.peers[0].address = net::Address{"127.0.0.1", 1, {}};
  ASSERT_TRUE(run_until([&] { return !a.up(2); }));
  b.start();
  EXPECT_TRUE(run_until([&] { return a.up(2) && b.up(1); }));
}

// Counts connections and closes them.
struct Hangs {
  Hangs(io::Loop& loop, net::Streams& streams)
      : acceptor(net::Acceptor::listen(
                     loop, on_free_port(),
                     {{&streams, [this](std::unique_ptr<net::Connection>) { ++calls; }}})
                     .value()) {}
  unsigned calls = 0;
  std::unique_ptr<net::Acceptor> acceptor;
};

TEST_F(PeerTransport, a_learned_address_that_fails_is_forgotten_and_the_configured_one_is_not) {
  Node& a = add(1);
  introduce();
  net::Streams streams(loop);
  Hangs configured(loop, streams), learned(loop, streams);
  a.options.peers.push_back({2, configured.acceptor->address()});
  a.start();
  a.transport->learn_address(2, learned.acceptor->address().to_string());
  ASSERT_TRUE(run_until([&] { return configured.calls > 10; }));
  EXPECT_EQ(learned.calls, 2u);  // channels
}

TEST_F(PeerTransport, a_learned_address_is_not_used_while_the_configured_one_answers) {
  Node &a = add(1), &b = add(2);
  introduce();
  net::Streams streams(loop);
  Hangs learned(loop, streams);
  b.start();
  a.start();
  a.transport->learn_address(2, learned.acceptor->address().to_string());
  for (int round = 0; round < 5; ++round) {
    ASSERT_TRUE(run_until([&] { return a.up(2) && b.up(1); }));
    b.transport->cut(1);
    ASSERT_TRUE(run_until([&] { return !a.up(2); }));
  }
  ASSERT_TRUE(run_until([&] { return a.up(2) && b.up(1); }));
  EXPECT_EQ(learned.calls, 0u);
}

TEST_F(PeerTransport, a_learned_address_that_is_invalid_or_beyond_loopback_is_not_used) {
  Node& a = add(1);
  introduce();
  net::Streams streams(loop);
  Hangs configured(loop, streams);
  a.options.peers.push_back({2, configured.acceptor->address()});
  a.options.local_only = true;
  a.start();
  const std::string path = testing::TempDir() + "learned.log";
  ASSERT_TRUE(logging::start({.path = path.c_str()}));
  for (const char* text : {"", "no port", "unix:/run/a", "0.0.0.0:7", "127.0.0.1:0", "192.0.2.1:7"})
    a.transport->learn_address(2, text);
  ASSERT_TRUE(run_until([&] { return configured.calls > 6; }));
  a.stop();
  logging::stop();
  std::stringstream logged;
  logged << std::ifstream(path).rdbuf();
  std::filesystem::remove(path);
  EXPECT_EQ(logged.str().find("nor is it at"), std::string::npos) << logged.str();
}

TEST_F(PeerTransport, delivered_bytes_follow_what_the_peer_reads) {
  io::Loop paused;
  Node& a = add(1);
  Node& b = add_on(paused, 2);
  a.options.silence_limit = b.options.silence_limit = never;
  introduce();
  a.start();
  b.start();
  EXPECT_EQ(a.transport->delivered_bytes(2, Channel::bulk), 0u);
  ASSERT_TRUE(run_until([&] {
    paused.run_turn(paused.now());
    return a.up(2);
  }));
  const uint64_t before = a.transport->delivered_bytes(2, Channel::bulk);
  // More than the buffers of both systems hold: without b, not all of it is delivered.
  const std::string body(1'000'000, 'x');
  for (int i = 0; i < 32; ++i) ASSERT_TRUE(a.send(2, Channel::bulk, body));
  const Instant later = loop.now() + 100 * milliseconds;
  ASSERT_TRUE(run_until([&] { return loop.now() > later; }));
  const uint64_t stuck = a.transport->delivered_bytes(2, Channel::bulk);
  EXPECT_GT(stuck, before);
  EXPECT_LT(stuck, before + 32 * body.size());
  ASSERT_TRUE(run_until([&] {
    paused.run_turn(paused.now());
    return b.got.size() == 32;
  }));
  EXPECT_TRUE(run_until([&] {
    return a.transport->delivered_bytes(2, Channel::bulk) == before + 32 * (body.size() + 8);
  }));
  nodes.clear();
}

TEST_F(PeerTransport, a_peer_that_connects_before_start_keeps_its_connections) {
  for (const NodeId late : {1, 2}) {
    nodes.clear();
    Node &a = add(1), &b = add(2);
    introduce();
    Node &opened = late == 1 ? a : b, &caller = late == 1 ? b : a;
    opened.open();
    caller.start();
    ASSERT_TRUE(run_until([&] { return a.up(2) && b.up(1); })) << late;
    opened.transport->start();
    const Instant later = loop.now() + 4 * opened.options.longest_retry;
    ASSERT_TRUE(run_until([&] { return loop.now() > later; }));
    EXPECT_EQ(a.channels.size(), 2u);
    EXPECT_EQ(b.channels.size(), 2u);
  }
}

TEST_F(PeerTransport, simultaneous_attempts_leave_one_connection_for_each_channel) {
  // Node 2 does not wait longer than node 1 before it connects.
  Node &a = add(1), &b = add(2);
  b.options.longest_retry = 1 * milliseconds;
  start_all();
  for (int round = 0; round < 20; ++round) {
    ASSERT_TRUE(run_until([&] { return a.up(2) && b.up(1); }));
    a.transport->cut(2);
    b.transport->cut(1);
  }
  ASSERT_TRUE(run_until([&] {
    return a.up(2) && b.up(1) && a.streams.open_connections() == 2 &&
           b.streams.open_connections() == 2;
  }));
}

// ---- identity of processes ----

TEST_F(PeerTransport, a_second_process_with_a_peers_identity_is_refused_by_name_and_reported) {
  Node &a = add(1, 1, 1, 10), &b = add(2, 1, 1, 20), &copy = add(2, 1, 1, 21);
  a.options.identity_patience = 50 * milliseconds;
  introduce();
  std::erase_if(copy.options.peers, [](const auto& peer) { return peer.id == 2; });
  std::erase_if(b.options.peers, [](const auto& peer) { return peer.id == 2; });
  a.options.peers = {{2, b.options.listen}};
  a.start();
  b.start();
  ASSERT_TRUE(run_until([&] { return a.up(2) && b.up(1); }));
  copy.start();
  ASSERT_TRUE(run_until([&] {
    b.send(1, Channel::control, "alive");
    return copy.refused.size() > 3;
  }));
  for (const auto& [by, reason] : copy.refused) {
    EXPECT_EQ(by, 1u);
    EXPECT_EQ(reason, BOP_E_DIRECTORY_IN_USE);
  }
  ASSERT_FALSE(a.second.empty());
  EXPECT_EQ(a.second.front(), 2u);
  EXPECT_TRUE(a.up(2));
  EXPECT_EQ(a.channels.size(), 2u);  // both came up once, and no channel ever broke
  EXPECT_TRUE(copy.channels.empty());
  // After the first process has ended, the second one is accepted.
  b.stop();
  EXPECT_TRUE(run_until([&] { return a.up(2) && copy.up(1); }));
}

TEST_F(PeerTransport, a_restarted_peer_is_accepted_soon_although_its_old_connections_hang) {
  io::Loop paused;
  Node& a = add(1, 1, 1, 10);
  Node& b = add_on(paused, 2, 1, 1, 20);
  Node& next = add(2, 1, 1, 21);
  a.options.identity_patience = 50 * milliseconds;
  a.options.silence_limit = never;
  introduce();
  std::erase_if(next.options.peers, [](const auto& peer) { return peer.id == 2; });
  std::erase_if(b.options.peers, [](const auto& peer) { return peer.id == 2; });
  a.options.peers = {{2, b.options.listen}};
  a.start();
  b.start();
  ASSERT_TRUE(run_until([&] {
    paused.run_turn(paused.now());
    return a.up(2) && b.up(1);
  }));
  next.start();  // b's host failed without closing its connections
  ASSERT_TRUE(run_until([&] { return next.up(1); }));
  EXPECT_TRUE(a.up(2));
  EXPECT_TRUE(a.second.empty());
  EXPECT_TRUE(next.refused.empty());
  nodes.clear();
}

// ---- connections without progress ----

// As when large packets are dropped on the way: heartbeats pass and entries do not.
TEST_F(PeerTransport,
       a_channel_whose_bytes_are_not_sent_is_closed_although_the_other_one_is_heard) {
  Node& a = add(1);
  a.options.silence_limit = 200 * milliseconds;
  introduce();
  a.options.peers = {{2, net::Address{"127.0.0.1", 1, {}}}};
  a.start();
  Handshake handshake(2, 1, 1);
  PlainClient control(a.transport->address()), bulk(a.transport->address());
  control.send_some(as_text(handshake.hello(1, Channel::control).bytes()));
  bulk.send_some(as_text(handshake.hello(1, Channel::bulk).bytes()));
  ASSERT_TRUE(run_until([&] { return a.up(2); }));
  // The system accepts as much as fits its buffers, then the bulk channel makes no progress.
  const std::string body(1'000'000, 'x');
  ASSERT_TRUE(run_until([&] {
    control.send_some(as_text(make_frame(as_bytes("alive")).bytes()));
    a.send(2, Channel::bulk, body);
    return !a.transport->up(2, Channel::bulk);
  }));
  EXPECT_TRUE(a.transport->up(2, Channel::control));
  PlainClient again(a.transport->address());
  again.send_some(as_text(handshake.hello(1, Channel::bulk).bytes()));
  EXPECT_TRUE(run_until([&] {
    control.send_some(as_text(make_frame(as_bytes("alive")).bytes()));
    return a.up(2);
  }));
}

TEST_F(PeerTransport, a_frame_that_its_receiver_refuses_closes_only_its_connection) {
  Node &a = add(1), &b = add(2);
  start_all();
  ASSERT_TRUE(run_until([&] { return a.up(2) && b.up(1); }));
  for (const char* body : {"good", "malformed", "after it"}) a.send(2, Channel::bulk, body);
  ASSERT_TRUE(run_until([&] { return b.channels.size() == 3; }));
  EXPECT_EQ(b.channels.back(), std::tuple(NodeId(1), Channel::bulk, false));
  ASSERT_EQ(b.got.size(), 2u);  // bytes after a malformed frame are ignored
  EXPECT_EQ(b.got.back().body, "malformed");
  EXPECT_EQ(b.transport->counters(1).bad_frames.value(), 1u);
  EXPECT_TRUE(run_until([&] { return a.up(2) && b.up(1); }));
}

TEST_F(PeerTransport, a_node_that_is_not_a_peer_is_refused) {
  Node& a = add(1);
  add(2);
  introduce();
  a.start();
  for (NodeId liar : {NodeId(1), NodeId(77)}) {
    Handshake handshake(liar, 1, 1);
    PlainClient client(a.transport->address());
    client.send_some(as_text(handshake.hello(1, Channel::control).bytes()));
    EXPECT_TRUE(run_until([&] {
      EXPECT_EQ(client.receive_some(), "");
      return client.ended();
    }));
  }
  EXPECT_EQ(a.transport->counters(77).refusals.value(), 2u);
}

TEST_F(PeerTransport, a_new_hello_replaces_the_connection_of_its_channel) {
  Node& a = add(1);
  Node& b = add(2);
  introduce();
  b.start();
  (void)a;
  Handshake handshake(1, 1, 1);
  PlainClient first(b.transport->address()), second(b.transport->address());
  first.send_some(as_text(handshake.hello(2, Channel::bulk).bytes()));
  ASSERT_TRUE(run_until([&] { return b.transport->up(1, Channel::bulk); }));
  second.send_some(as_text(handshake.hello(2, Channel::bulk).bytes()));
  EXPECT_TRUE(run_until([&] {
    first.receive_some();
    return first.ended();
  }));
  EXPECT_TRUE(b.transport->up(1, Channel::bulk));
  second.send_some(as_text(make_frame(as_bytes("hello")).bytes()));
  EXPECT_TRUE(run_until([&] { return b.got.size() == 1; }));
  EXPECT_EQ(b.channels.size(), 3u);  // up, down, up
}

TEST_F(PeerTransport, a_peer_that_sends_a_malformed_frame_loses_its_channel) {
  Node& b = add(2);
  add(1);
  introduce();
  b.start();
  const std::string huge("TEST\xff\xff\xff\x7f", 8), tiny("TEST\x07\0\0\0", 8), alien(20, 'x');
  for (const std::string& bad : {huge, tiny, alien}) {
    Handshake handshake(1, 1, 1);
    PlainClient client(b.transport->address());
    client.send_some(as_text(handshake.hello(2, Channel::control).bytes()));
    ASSERT_TRUE(run_until([&] { return b.transport->up(1, Channel::control); }));
    client.send_some(as_text(make_frame(as_bytes("good")).bytes()));
    client.send_some(bad);
    EXPECT_TRUE(run_until([&] {
      client.receive_some();
      return client.ended();
    }));
    EXPECT_FALSE(b.transport->up(1, Channel::control));
  }
  EXPECT_EQ(b.got.size(), 3u);
}

TEST_F(PeerTransport, strangers_cost_bounded_memory_and_do_not_affect_peers) {
  Node &a = add(1), &b = add(2);
  b.options.max_strangers = 8;
  b.options.connect_limit = 100 * milliseconds;
  start_all();
  ASSERT_TRUE(run_until([&] { return a.up(2) && b.up(1); }));
  Random random(11);
  std::list<PlainClient> strangers;
  for (int i = 0; i < 200; ++i) {
    PlainClient& stranger = strangers.emplace_back(b.transport->address());
    std::string noise(random.below(200), '\0');
    for (char& c : noise) c = static_cast<char>(random.next());
    if (random.chance(1, 2)) noise = "TEST" + noise;
    stranger.send_some(noise);
    loop.run_turn(loop.now());
    EXPECT_LE(b.streams.open_connections(), 2 + 8u + 1);
  }
  // Meanwhile a peer can connect, repeatedly.
  for (int i = 0; i < 10; ++i) {
    a.transport->cut(2);
    ASSERT_TRUE(run_until([&] { return a.up(2) && b.up(1); }));
  }
  // Those that sent nothing are closed in time.
  EXPECT_TRUE(run_until([&] { return b.streams.open_connections() == 2; }));
}

TEST_F(PeerTransport, a_port_in_use_is_named) {
  Node& a = add(1);
  introduce();
  a.start();
  Node& b = add(2);
  b.options.listen = a.transport->address();
  auto second = net::PeerTransport::open(b.streams, b.options, b.handshake, b.registry);
  ASSERT_FALSE(second.has_value());
  EXPECT_EQ(second.error().code, BOP_E_ADDRESS_IN_USE);
}

}  // namespace
}  // namespace bop::tests

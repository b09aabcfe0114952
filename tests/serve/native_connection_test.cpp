#include "serve/native_connection.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <set>

#include "harness.h"
#include "proto/kv.h"

namespace bop::serve {
namespace {

using proto::ClientFrame;
using proto::ClientGoodbye;
using proto::ClientHello;
using proto::ClientHelloAck;
using proto::ClientReply;
using proto::ClientRequest;
using proto::RequestKind;

template <class Frame>
std::string encoded(const Frame& frame) {
  proto::PartWriter out;
  out.begin();
  proto::encode(frame, out);
  std::string bytes;
  for (const mem::Buffer& part : out.finish()) bytes += as_text(part.bytes());
  return bytes;
}

struct Replies {
  std::vector<mem::Buffer> buffers;  // that the frames' views point into
  std::vector<ClientFrame> frames;
};

Replies decode(const std::string& bytes) {
  Replies replies;
  proto::FrameSplitter splitter(proto::client_format);
  EXPECT_TRUE(splitter.push(mem::Buffer::copy(as_bytes(bytes)), replies.buffers));
  EXPECT_EQ(splitter.pending_bytes(), 0u);
  for (const mem::Buffer& buffer : replies.buffers) {
    auto frame = proto::decode_client_frame(buffer);
    EXPECT_TRUE(frame);
    if (frame) replies.frames.push_back(std::move(*frame));
  }
  return replies;
}

class NativeClient : public Client<NativeConnection> {
 public:
  explicit NativeClient(Harness& harness) : Client(harness) {}

  Replies frames(const std::string& bytes) { return decode(talk(bytes)); }
  void greet() { frames(encoded(ClientHello{})); }
};

mem::Buffer put_command(std::string_view key, std::string_view value, uint8_t flags = 0) {
  static mem::Arena arena;
  proto::KvOperation operation;
  operation.flags = flags;
  operation.key = as_bytes(key);
  operation.value = as_bytes(value);
  return proto::encode_kv_command(arena, {&operation, 1});
}

mem::Buffer get_question(std::string_view key) {
  static mem::Arena arena;
  const Bytes bytes = as_bytes(key);
  return proto::encode_kv_get(arena, {&bytes, 1});
}

TEST(NativeConnection, acknowledges_a_hello_with_its_cluster_node_and_limits) {
  Options options;
  options.cluster[3] = 9;
  options.node = 2;
  options.max_pipeline = 77;
  Harness harness(options);
  NativeClient client(harness);
  const auto replies = client.frames(encoded(ClientHello{.name = "test"}));
  ASSERT_EQ(replies.frames.size(), 1u);
  const auto& ack = std::get<ClientHelloAck>(replies.frames[0]);
  EXPECT_EQ(ack.version, proto::client_version);
  EXPECT_EQ(ack.cluster, options.cluster);
  EXPECT_EQ(ack.node, 2u);
  EXPECT_EQ(ack.max_in_flight, 77u);
}

TEST(NativeConnection, proposes_and_queries) {
  Harness harness;
  NativeClient client(harness);
  client.greet();
  const auto replies =
      client.frames(encoded(ClientRequest{7, RequestKind::propose, 1, 0, put_command("k", "v")}));
  ASSERT_EQ(replies.frames.size(), 1u);
  const auto& put = std::get<ClientReply>(replies.frames[0]);
  EXPECT_EQ(put.correlation, 7u);
  EXPECT_EQ(put.status, BOP_OK);
  EXPECT_EQ(put.index, 1u);
  const auto got =
      client.frames(encoded(ClientRequest{8, RequestKind::query, 1, 0, get_question("k")}));
  const auto& answer = std::get<ClientReply>(got.frames.at(0));
  EXPECT_EQ(answer.correlation, 8u);
  proto::KvItems items(answer.body.bytes());
  proto::KvItem item;
  ASSERT_TRUE(items.next(item));
  EXPECT_EQ(as_text(item.value), "v");
}

TEST(NativeConnection, group_zero_is_the_default_group) {
  Harness harness;
  NativeClient client(harness);
  client.greet();
  client.send(encoded(ClientRequest{1, RequestKind::query, 0, 0, get_question("k")}));
  ASSERT_EQ(harness.service.waiting(), 1u);
  EXPECT_EQ(harness.service.request(0).group, 1u);
}

TEST(NativeConnection, uses_the_deadline_of_the_client_or_its_own) {
  Harness harness;
  NativeClient client(harness);
  client.greet();
  client.send(encoded(ClientRequest{1, RequestKind::query, 1, 1500, get_question("k")}));
  client.send(encoded(ClientRequest{2, RequestKind::query, 1, 0, get_question("k")}));
  ASSERT_EQ(harness.service.waiting(), 2u);
  EXPECT_EQ(harness.service.request(0).deadline, harness.service.time + 1500 * microseconds);
  EXPECT_EQ(harness.service.request(1).deadline, harness.service.time + 5 * seconds);
}

TEST(NativeConnection, replies_in_the_order_of_completion) {
  Harness harness;
  NativeClient client(harness);
  client.greet();
  for (uint64_t i = 0; i < 3; ++i) {
    client.send(encoded(ClientRequest{i, RequestKind::query, 1, 0, get_question("k")}));
  }
  harness.service.answer(2);
  harness.service.answer(0);
  const auto replies = decode(client.wire.take());
  ASSERT_EQ(replies.frames.size(), 2u);
  EXPECT_EQ(std::get<ClientReply>(replies.frames[0]).correlation, 2u);
  EXPECT_EQ(std::get<ClientReply>(replies.frames[1]).correlation, 0u);
}

TEST(NativeConnection, names_the_leader_and_its_address) {
  Options options;
  options.native_addresses[2] = "127.0.0.1:7110";
  Harness harness(options);
  NativeClient client(harness);
  client.greet();
  client.send(encoded(ClientRequest{1, RequestKind::propose, 1, 0, put_command("k", "v")}));
  harness.service.answer_with(0, BOP_E_UNAVAILABLE, "no leader");
  const auto replies = decode(client.wire.take());
  const auto& reply = std::get<ClientReply>(replies.frames.at(0));
  EXPECT_EQ(reply.status, BOP_E_UNAVAILABLE);
  EXPECT_EQ(reply.leader, 2u);
  EXPECT_EQ(reply.leader_address, "127.0.0.1:7110");
  EXPECT_EQ(reply.detail, "no leader");
}

TEST(NativeConnection, finds_groups_answers_pings_and_reports_its_status) {
  Harness harness;
  harness.service.node_status.node = 3;
  NativeClient client(harness);
  client.greet();
  auto replies = client.frames(
      encoded(ClientRequest{1, RequestKind::find_group, 0, 0, mem::Buffer::copy(as_bytes("kv"))}));
  EXPECT_EQ(load_le<uint64_t>(std::get<ClientReply>(replies.frames.at(0)).body.data()), 1u);
  replies = client.frames(
      encoded(ClientRequest{2, RequestKind::find_group, 0, 0, mem::Buffer::copy(as_bytes("x"))}));
  EXPECT_EQ(std::get<ClientReply>(replies.frames.at(0)).status, BOP_E_NO_GROUP);
  replies = client.frames(
      encoded(ClientRequest{3, RequestKind::ping, 0, 0, mem::Buffer::copy(as_bytes("echo"))}));
  EXPECT_EQ(as_text(std::get<ClientReply>(replies.frames.at(0)).body.bytes()), "echo");
  replies = client.frames(encoded(ClientRequest{4, RequestKind::status, 0, 0, {}}));
  const auto json =
      nlohmann::json::parse(as_text(std::get<ClientReply>(replies.frames.at(0)).body.bytes()));
  EXPECT_EQ(json["node_id"], 3);
}

TEST(NativeConnection, answers_requests_for_snapshots_of_a_group) {
  Harness harness;
  harness.service.snapshots_result = std::vector<node::SnapshotStatus>{
      {.index = 120, .term = 3, .bytes = 1000, .parts = 2, .id = "ab"}};
  NativeClient client(harness);
  client.greet();
  const auto ask = [&](const std::string& payload) {
    const auto replies = client.frames(encoded(
        ClientRequest{7, RequestKind::snapshot, 0, 0, mem::Buffer::copy(as_bytes(payload))}));
    return std::get<ClientReply>(replies.frames.at(0));
  };
  EXPECT_EQ(
      as_text(ask("\x02kv").body.bytes()),
      R"({"node":0,"group":"kv","snapshots":[{"index":120,"term":3,"bytes":1000,"parts":2,"id":"ab"}]})");
  ASSERT_EQ(harness.service.snapshot_requests.size(), 1u);
  EXPECT_EQ(harness.service.snapshot_requests[0],
            (std::pair<GroupId, node::SnapshotAction>{1, node::SnapshotAction::list}));
  harness.service.snapshots_result = fail(BOP_E_DAMAGED, "part \"x\"");
  EXPECT_EQ(ask("\x03kv").status, BOP_E_DAMAGED);
  EXPECT_EQ(ask("\x01nobody").status, BOP_E_NO_GROUP);
  for (const char* wrong : {"", "\x04kv", "kv"})
    EXPECT_EQ(ask(wrong).status, BOP_E_INVALID_ARGUMENT) << wrong;
}

void expect_goodbye(Harness& harness, const std::string& sent, bop_status status) {
  NativeClient client(harness);
  const auto replies = client.frames(sent);
  ASSERT_FALSE(replies.frames.empty());
  const auto* goodbye = std::get_if<ClientGoodbye>(&replies.frames.back());
  ASSERT_NE(goodbye, nullptr);
  EXPECT_EQ(goodbye->status, status);
  EXPECT_FALSE(goodbye->detail.empty());
  EXPECT_TRUE(client.wire.finished);
}

TEST(NativeConnection, sends_a_goodbye_with_the_reason_to_invalid_clients) {
  Harness harness;
  ClientHello stranger;
  stranger.cluster[0] = 1;
  expect_goodbye(harness, encoded(stranger), BOP_E_WRONG_CLUSTER);
  expect_goodbye(harness,
                 encoded(ClientHello{.version_low = proto::client_version + 1,
                                     .version_high = proto::client_version + 2}),
                 BOP_E_VERSION_MISMATCH);
  expect_goodbye(harness, encoded(ClientRequest{}), BOP_E_PROTOCOL);
  expect_goodbye(harness, encoded(ClientHello{}) + encoded(ClientHello{}), BOP_E_PROTOCOL);
  expect_goodbye(harness, encoded(ClientHello{}) + encoded(ClientReply{}), BOP_E_PROTOCOL);
  expect_goodbye(harness, "GET / HTTP/1.1\r\n\r\n", BOP_E_PROTOCOL);
  std::string huge = encoded(ClientHello{});
  store_le<uint32_t>(reinterpret_cast<uint8_t*>(huge.data()) + 4, 1u << 30);
  expect_goodbye(harness, huge, BOP_E_TOO_LARGE);
}

TEST(NativeConnection, answers_requests_in_flight_before_its_goodbye) {
  Harness harness;
  NativeClient client(harness);
  client.greet();
  client.send(encoded(ClientRequest{1, RequestKind::propose, 1, 0, put_command("k", "v")}));
  client.send("garbage");
  EXPECT_EQ(client.wire.take(), "");
  harness.settle();
  const auto replies = decode(client.wire.take());
  ASSERT_EQ(replies.frames.size(), 2u);
  EXPECT_EQ(std::get<ClientReply>(replies.frames[0]).correlation, 1u);
  EXPECT_EQ(std::get<ClientGoodbye>(replies.frames[1]).status, BOP_E_PROTOCOL);
}

TEST(NativeConnection, answers_everything_it_received_before_the_goodbye_of_a_stopping_node) {
  Options options;
  options.max_pipeline = 1;  // the second request waits
  Harness harness(options);
  NativeClient client(harness);
  client.greet();
  client.send(encoded(ClientRequest{1, RequestKind::propose, 1, 0, put_command("k", "v")}) +
              encoded(ClientRequest{2, RequestKind::propose, 1, 0, put_command("k", "w")}));
  harness.connections.stop();
  EXPECT_FALSE(client.wire.finished);
  harness.settle();
  const auto replies = decode(client.wire.take());
  ASSERT_EQ(replies.frames.size(), 3u);
  EXPECT_EQ(std::get<ClientReply>(replies.frames[0]).correlation, 1u);
  EXPECT_EQ(std::get<ClientReply>(replies.frames[1]).correlation, 2u);
  EXPECT_EQ(std::get<ClientGoodbye>(replies.frames[2]).status, BOP_E_STOPPED);
  EXPECT_TRUE(client.wire.finished);
}

TEST(NativeConnection, starts_no_more_requests_than_its_limit_and_continues_after_replies) {
  Options options;
  options.max_pipeline = 8;
  Harness harness(options);
  NativeClient client(harness);
  client.greet();
  std::string sent;
  for (uint64_t i = 0; i < 100; ++i) {
    sent += encoded(ClientRequest{i, RequestKind::propose, 1, 0, put_command("k", "v")});
  }
  client.send(sent);
  EXPECT_EQ(harness.service.waiting(), 8u);
  EXPECT_TRUE(client.wire.paused);
  harness.settle();
  EXPECT_FALSE(client.wire.paused);
  EXPECT_EQ(decode(client.wire.take()).frames.size(), 100u);
}

TEST(NativeConnection,
     starts_nothing_while_its_replies_are_not_read_and_receives_up_to_its_budget) {
  Options options;
  options.pause_output_bytes = 10'000;
  options.max_input_bytes = 50'000;
  Harness harness(options);
  NativeClient client(harness);
  client.greet();
  client.wire.reads = false;
  const mem::Buffer payload = mem::Buffer::copy(as_bytes(std::string(1000, 'p')));
  uint64_t sent = 0;
  for (; sent < 100 && !client.wire.paused; ++sent) {
    client.send(encoded(ClientRequest{sent, RequestKind::ping, 0, 0, payload}));
  }
  EXPECT_GT(sent, 50u);
  EXPECT_LT(sent, 70u);
  EXPECT_LT(client.wire.sent.size(), 12'000u);
  EXPECT_TRUE(client.wire.expects_progress);

  client.connection().on_stalled();
  EXPECT_FALSE(client.wire.paused) << "what it still writes is received, and dropped";
  EXPECT_TRUE(client.wire.finished);
  EXPECT_NE(client.wire.sent.find("limits.input_bytes"), std::string::npos) << "a goodbye";
}

TEST(NativeConnection,
     reads_with_unexpectedly_large_replies_cost_bounded_memory_and_are_all_answered) {
  Options options;
  options.pause_output_bytes = 10'000;
  options.read_ahead_bytes = 100'000;
  Harness harness(options);
  NativeClient client(harness);
  client.greet();
  const std::string large(20'000, 'v');
  client.talk(encoded(ClientRequest{1, RequestKind::propose, 1, 0, put_command("k", large)}));
  for (int i = 0; i < 100; ++i) {  // small ones, so that many may be in flight
    client.talk(encoded(ClientRequest{1, RequestKind::query, 1, 0, get_question("none")}));
  }
  client.wire.reads = false;
  std::string sent;
  for (uint64_t i = 1; i <= 50; ++i) {
    sent += encoded(ClientRequest{i, RequestKind::query, 1, 0, get_question("k")});
  }
  client.send(sent);
  EXPECT_GT(harness.service.waiting(), 20u) << "few enough to be answered whole prove nothing";
  harness.settle();
  EXPECT_LT(client.wire.sent.size(), 150'000u);

  std::string all;
  while (!client.wire.sent.empty()) {
    all += client.wire.take();
    client.connection().on_drained();
    harness.settle();
  }
  std::set<uint64_t> answered;
  for (const ClientFrame& frame : decode(all).frames) {
    const auto& reply = std::get<ClientReply>(frame);
    EXPECT_EQ(reply.status, BOP_OK);
    EXPECT_GT(reply.body.size(), large.size());
    EXPECT_TRUE(answered.insert(reply.correlation).second) << reply.correlation;
  }
  EXPECT_EQ(answered.size(), 50u);
  client.close();
  EXPECT_EQ(harness.connections.count(), 0u);
}

TEST(NativeConnection, is_destroyed_when_its_client_leaves_while_reads_are_to_be_repeated) {
  Options options;
  options.pause_output_bytes = options.read_ahead_bytes = 10'000;
  Harness harness(options);
  NativeClient client(harness);
  client.greet();
  client.talk(encoded(
      ClientRequest{1, RequestKind::propose, 1, 0, put_command("k", std::string(15'000, 'v'))}));
  client.wire.reads = false;
  for (uint64_t i = 1; i <= 4; ++i) {
    client.send(encoded(ClientRequest{i, RequestKind::query, 1, 0, get_question("k")}));
  }
  harness.settle();
  EXPECT_LT(client.wire.sent.size(), 40'000u);
  client.drop();
  harness.settle();
  EXPECT_EQ(harness.connections.count(), 0u);
}

TEST(NativeConnection, does_not_wait_long_for_a_hello) {
  Harness harness;
  const Instant connected_at = harness.service.time;
  NativeClient silent(harness);
  NativeClient greeted(harness);
  greeted.greet();
  const std::string part = encoded(ClientHello{}).substr(0, 20);
  silent.send(part);
  harness.advance(connected_at + hello_limit - 1);
  EXPECT_FALSE(silent.wire.finished);
  EXPECT_EQ(silent.wire.held_input, part.size()) << "an unfinished frame counts";
  harness.advance(connected_at + hello_limit);
  EXPECT_TRUE(silent.wire.finished);
  const auto replies = decode(silent.wire.take());
  ASSERT_EQ(replies.frames.size(), 1u);
  EXPECT_EQ(std::get<ClientGoodbye>(replies.frames[0]).status, BOP_E_TIMEOUT);
  harness.advance(connected_at + 100 * hello_limit);
  EXPECT_FALSE(greeted.wire.finished);
}

TEST(NativeConnection, keeps_no_large_frame_of_a_client_that_sent_no_hello) {
  Harness harness;
  const std::string large = encoded(
      ClientRequest{1, RequestKind::propose, 1, 0, put_command("k", std::string(500'000, 'v'))});
  NativeClient stranger(harness);
  stranger.send(large.substr(0, max_hello_bytes));
  EXPECT_FALSE(stranger.wire.finished);
  const auto replies = stranger.frames(large.substr(max_hello_bytes, 1));
  EXPECT_TRUE(stranger.wire.finished);
  ASSERT_EQ(replies.frames.size(), 1u);
  EXPECT_EQ(std::get<ClientGoodbye>(replies.frames[0]).status, BOP_E_TOO_LARGE);
  // With its hello, a client may send a part of one.
  NativeClient client(harness);
  EXPECT_EQ(client.frames(encoded(ClientHello{}) + large.substr(0, 400'000)).frames.size(), 1u);
  EXPECT_EQ(client.wire.held_input, 400'000u);
  EXPECT_EQ(client.frames(large.substr(400'000)).frames.size(), 1u);
  EXPECT_EQ(client.wire.held_input, 0u);
  EXPECT_FALSE(client.wire.finished);
}

TEST(NativeConnection, outlives_its_socket_until_its_requests_are_answered) {
  Harness harness;
  NativeClient client(harness);
  client.greet();
  client.send(encoded(ClientRequest{1, RequestKind::propose, 1, 0, put_command("k", "v")}));
  client.send(encoded(ClientRequest{2, RequestKind::status, 0, 0, {}}));
  client.drop();
  harness.post.run();
  EXPECT_EQ(harness.connections.count(), 1u);
  harness.settle();
  EXPECT_EQ(harness.connections.count(), 0u);
  EXPECT_EQ(client.wire.take(), "");
}

}  // namespace
}  // namespace bop::serve

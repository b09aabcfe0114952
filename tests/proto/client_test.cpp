#include "proto/client.h"

#include <gtest/gtest.h>

#include "base/checksum.h"
#include "base/random.h"
#include "bytes.h"

namespace bop::proto {
namespace {

template <class Frame>
mem::Buffer encoded(const Frame& frame) {
  PartWriter out;
  out.begin();
  encode(frame, out);
  return join(out.finish());
}

mem::Buffer reseal(std::string frame) {
  auto* bytes = reinterpret_cast<uint8_t*>(frame.data());
  store_le<uint32_t>(bytes + 4, static_cast<uint32_t>(frame.size()));
  store_le<uint32_t>(bytes + 8, crc32c(as_bytes(frame).subspan(12)));
  return buffer(frame);
}

TEST(ClientFrame, carries_a_hello) {
  ClientHello hello;
  hello.version_high = 3;
  hello.cluster[15] = 9;
  hello.name = "bench";
  const mem::Buffer frame = encoded(hello);
  const auto decoded = decode_client_frame(frame);
  ASSERT_TRUE(decoded) << decoded.error().to_string();
  const auto& got = std::get<ClientHello>(*decoded);
  EXPECT_EQ(got.version_low, client_version);
  EXPECT_EQ(got.version_high, 3);
  EXPECT_EQ(got.cluster, hello.cluster);
  EXPECT_EQ(got.name, "bench");
}

TEST(ClientFrame, carries_a_hello_ack) {
  ClientHelloAck ack;
  ack.cluster[0] = 4;
  ack.node = 3;
  ack.max_frame_bytes = 1000;
  ack.max_in_flight = 64;
  const auto decoded = decode_client_frame(encoded(ack));
  ASSERT_TRUE(decoded);
  const auto& got = std::get<ClientHelloAck>(*decoded);
  EXPECT_EQ(got.version, client_version);
  EXPECT_EQ(got.cluster, ack.cluster);
  EXPECT_EQ(got.node, 3u);
  EXPECT_EQ(got.max_frame_bytes, 1000u);
  EXPECT_EQ(got.max_in_flight, 64u);
}

TEST(ClientFrame, carries_requests_with_small_and_with_large_payloads) {
  for (const size_t size :
       {size_t{0}, size_t{5}, share_from_bytes - 1, share_from_bytes, size_t{1} << 20}) {
    const ClientRequest request{77, RequestKind::propose, 42, 5'000'000,
                                buffer(std::string(size, 'p'))};
    const mem::Buffer frame = encoded(request);
    const auto decoded = decode_client_frame(frame);
    ASSERT_TRUE(decoded) << decoded.error().to_string();
    const auto& got = std::get<ClientRequest>(*decoded);
    EXPECT_EQ(got.correlation, 77u);
    EXPECT_EQ(got.kind, RequestKind::propose);
    EXPECT_EQ(got.group, 42u);
    EXPECT_EQ(got.deadline_us, 5'000'000u);
    EXPECT_EQ(text(got.payload), std::string(size, 'p'));
  }
}

TEST(ClientFrame, carries_replies_whether_their_body_is_shared_or_copied) {
  for (const size_t size : {size_t{0}, size_t{5}, share_from_bytes, size_t{300'000}}) {
    const std::string body(size, 'b');
    ClientReply reply{77, BOP_E_NOT_LEADER, 9, 3, "127.0.0.1:7120", "ask node 3", buffer(body)};
    const mem::Buffer shared = encoded(reply);
    PartWriter out;
    out.begin();
    reply.body = {};
    encode(reply, as_bytes(body), out);
    EXPECT_EQ(text(join(out.finish())), text(shared));

    const auto decoded = decode_client_frame(shared);
    ASSERT_TRUE(decoded) << decoded.error().to_string();
    const auto& got = std::get<ClientReply>(*decoded);
    EXPECT_EQ(got.correlation, 77u);
    EXPECT_EQ(got.status, BOP_E_NOT_LEADER);
    EXPECT_EQ(got.index, 9u);
    EXPECT_EQ(got.leader, 3u);
    EXPECT_EQ(got.leader_address, "127.0.0.1:7120");
    EXPECT_EQ(got.detail, "ask node 3");
    EXPECT_EQ(text(got.body), body);
  }
}

TEST(ClientFrame, carries_a_goodbye_and_truncates_a_long_detail) {
  const auto frame = encoded(ClientGoodbye{BOP_E_PROTOCOL, std::string(5000, 'w')});
  const auto decoded = decode_client_frame(frame);
  ASSERT_TRUE(decoded);
  EXPECT_EQ(std::get<ClientGoodbye>(*decoded).status, BOP_E_PROTOCOL);
  EXPECT_EQ(std::get<ClientGoodbye>(*decoded).detail, std::string(max_client_detail_bytes, 'w'));
}

TEST(ClientFrame, several_are_cut_from_one_stream) {
  PartWriter out;
  out.begin();
  for (uint64_t i = 0; i < 100; ++i) {
    encode(ClientRequest{i, RequestKind::ping, 0, 0, buffer(std::string(i * 50, 'x'))}, out);
  }
  FrameSplitter splitter(client_format);
  std::vector<mem::Buffer> frames;
  for (const mem::Buffer& part : out.finish()) ASSERT_TRUE(splitter.push(part, frames));
  ASSERT_EQ(frames.size(), 100u);
  for (uint64_t i = 0; i < 100; ++i) {
    const auto decoded = decode_client_frame(frames[i]);
    ASSERT_TRUE(decoded);
    EXPECT_EQ(std::get<ClientRequest>(*decoded).correlation, i);
    EXPECT_EQ(std::get<ClientRequest>(*decoded).payload.size(), i * 50);
  }
}

TEST(ClientFrame, of_another_version_is_refused_unless_it_is_a_hello) {
  std::string request = text(encoded(ClientRequest{}));
  request[12] = 9;
  EXPECT_EQ(decode_client_frame(reseal(request)).error().code, BOP_E_VERSION_MISMATCH);
  std::string hello = text(encoded(ClientHello{}));
  hello[12] = 9;
  EXPECT_TRUE(decode_client_frame(reseal(hello)));
}

TEST(ClientFrame, with_undefined_flags_is_refused) {
  for (std::string frame : {text(encoded(ClientHello{})), text(encoded(ClientRequest{}))}) {
    frame[15] = 1;
    const auto decoded = decode_client_frame(reseal(frame));
    ASSERT_FALSE(decoded);
    EXPECT_EQ(decoded.error().code, BOP_E_PROTOCOL);
    EXPECT_EQ(decoded.error().detail, "a client frame with unknown flags 0x100");
  }
}

TEST(ClientFrame, survives_every_truncation_and_random_damage_under_a_correct_checksum) {
  const std::vector<std::string> frames{
      text(encoded(ClientHello{1, 1, {}, "name"})), text(encoded(ClientHelloAck{})),
      text(encoded(ClientRequest{1, RequestKind::query, 2, 3, buffer("question")})),
      text(encoded(ClientReply{1, 0, 2, 3, "address", "detail", buffer("body")})),
      text(encoded(ClientGoodbye{-1, "detail"}))};
  Random random(3);
  for (const std::string& frame : frames) {
    ASSERT_TRUE(decode_client_frame(reseal(frame)));
    for (size_t size = 12; size < frame.size(); ++size) {
      EXPECT_FALSE(decode_client_frame(reseal(frame.substr(0, size)))) << size;
    }
    for (int i = 0; i < 5000; ++i) {
      std::string damaged = frame;
      for (uint64_t n = 1 + random.below(3); n > 0; --n) {
        damaged[12 + random.below(damaged.size() - 12)] = static_cast<char>(random.next());
      }
      const auto decoded = decode_client_frame(reseal(damaged));
      if (!decoded) {
        EXPECT_FALSE(decoded.error().detail.empty());
      }
    }
  }
}

}  // namespace
}  // namespace bop::proto

#include "net/stream.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>
#include <deque>
#include <filesystem>
#include <list>
#include <thread>

#include "base/bytes.h"
#include "base/random.h"
#include "net/stream_budget.h"
#include "rig.h"

namespace bop::tests {
namespace {

using net::Consumed;

std::string pattern(size_t size, uint64_t seed = 1) {
  Random random(seed);
  std::string text(size, '\0');
  for (char& c : text) c = static_cast<char>(random.next());
  return text;
}

class Stream : public testing::Test {
 protected:
  ~Stream() override { server.connection.reset(); }

  // Listens, and starts `server` on the first connection.
  void listen(const net::StreamLimits& limits = {}) {
    net::ListenOptions options = on_free_port();
    options.limits = limits;
    listen(options);
  }
  void listen(const net::ListenOptions& options) {
    auto opened = net::Acceptor::listen(
        loop, options, {{&streams, [this](std::unique_ptr<net::Connection> connection) {
                           server.start(std::move(connection));
                         }}});
    ASSERT_TRUE(opened.has_value()) << opened.error().to_string();
    acceptor = std::move(*opened);
  }
  PlainClient connect() { return PlainClient(acceptor->address()); }
  void wait_for_server() {
    ASSERT_TRUE(run_until([&] { return server.connection != nullptr; }));
  }
  bool run_until(const std::function<bool()>& done) {
    // Conditions about plain sockets become true between turns, so a turn must not wait for long.
    const Instant latest = io::Loop::read_clock() + long_enough;
    while (!done()) {
      if (io::Loop::read_clock() > latest) return false;
      loop.run_turn(loop.now() + 1 * milliseconds);
    }
    return true;
  }
  // Sends everything from a plain client while the loop turns.
  void send_all(PlainClient& client, std::string_view bytes) {
    ASSERT_TRUE(run_until([&] {
      bytes.remove_prefix(client.send_some(bytes));
      return bytes.empty() || client.ended();
    }));
  }
  std::string receive(PlainClient& client, size_t size) {
    std::string got;
    run_until([&] {
      got += client.receive_some();
      return got.size() >= size || client.ended();
    });
    return got;
  }

  io::Loop loop;
  net::Streams streams{loop};
  std::unique_ptr<net::Acceptor> acceptor;
  Side server;
};

TEST_F(Stream, bytes_from_a_client_arrive_in_order) {
  listen();
  auto client = connect();
  const std::string text = pattern(3'000'000);
  send_all(client, text);
  EXPECT_TRUE(run_until([&] { return server.recorder.received.size() == text.size(); }));
  EXPECT_TRUE(server.recorder.received == text);
  EXPECT_EQ(server.connection->received_bytes(), text.size());
}

TEST_F(Stream, appended_pieces_of_any_kind_arrive_in_order) {
  net::StreamLimits limits;
  limits.max_output_bytes = 64 << 20;
  listen(limits);
  auto client = connect();
  wait_for_server();
  Random random(7);
  std::string expected;
  for (int i = 0; i < 3000; ++i) {
    const std::string piece = pattern(random.below(i % 10 == 0 ? 20'000 : 300), i);
    switch (random.below(3)) {
      case 0: server.connection->append(as_bytes(piece)); break;
      case 1: server.connection->append(mem::Buffer::copy(as_bytes(piece))); break;
      default:
        std::memcpy(server.connection->reserve(piece.size() + 10), piece.data(), piece.size());
        server.connection->commit(piece.size());
    }
    expected += piece;
  }
  EXPECT_TRUE(receive(client, expected.size()) == expected);
  EXPECT_EQ(server.connection->queued_bytes(), 0u);
  EXPECT_EQ(server.connection->sent_bytes(), expected.size());
}

TEST_F(Stream, the_end_of_a_receive_block_cuts_no_message_in_two) {
  listen();
  std::vector<mem::Buffer> kept;  // so that no block is reused
  std::vector<size_t> sizes;
  server.recorder.when_bytes = [&](const mem::Buffer& bytes) -> Consumed {
    kept.push_back(bytes);
    sizes.push_back(bytes.size());
    return {bytes.size()};
  };
  auto client = connect();
  wait_for_server();
  constexpr size_t messages = 200;
  const std::string one = pattern(6000);
  size_t sent = 0;
  // The first messages tell how large blocks should be.
  for (size_t i = 0; i < messages; ++i) {
    send_all(client, one);
    sent += one.size();
    ASSERT_TRUE(run_until([&] { return server.connection->received_bytes() == sent; }));
  }
  ASSERT_GE(sizes.size(), messages);
  EXPECT_LE(sizes.size(), messages + 2);
  EXPECT_EQ(sizes.back(), one.size());
}

// Messages of a u32 length and that many bytes.
class Messages {
 public:
  Consumed take(const mem::Buffer& bytes) {
    size_t at = 0;
    while (bytes.size() - at >= 4) {
      const size_t size = 4 + load_le<uint32_t>(bytes.data() + at);
      if (bytes.size() - at < size) return {at, size};
      kept.push_back(bytes.slice(at + 4, size - 4));
      at += size;
    }
    return {at};
  }
  std::deque<mem::Buffer> kept;
};

std::string message(const std::string& body) {
  std::string framed(4, '\0');
  store_le(reinterpret_cast<uint8_t*>(framed.data()), static_cast<uint32_t>(body.size()));
  return framed + body;
}

class StreamMessages : public Stream, public testing::WithParamInterface<bool> {};
INSTANTIATE_TEST_SUITE_P(WantedIsTrusted, StreamMessages, testing::Bool());

TEST_P(StreamMessages, every_message_is_one_slice_whatever_its_size_and_however_it_arrives) {
  net::StreamLimits limits;
  limits.trust_wanted = GetParam();
  listen(limits);
  Messages messages;
  server.recorder.when_bytes = [&](const mem::Buffer& bytes) { return messages.take(bytes); };
  auto client = connect();
  Random random(3);
  for (int i = 0; i < 500; ++i) {
    const std::string body = pattern(random.below(i % 20 == 0 ? 500'000 : 2000), i);
    const std::string framed = message(body);
    // In pieces cut anywhere.
    const size_t cut = random.below(framed.size());
    send_all(client, std::string_view(framed).substr(0, cut));
    if (random.chance(1, 2)) loop.run_turn(loop.now());
    send_all(client, std::string_view(framed).substr(cut));
    if (!random.chance(1, 8)) continue;
    ASSERT_TRUE(run_until([&] { return messages.kept.size() == size_t(i) + 1; }));
    EXPECT_TRUE(as_text(messages.kept.back().bytes()) == body);
  }
  EXPECT_TRUE(run_until([&] { return messages.kept.size() == 500; }));
  // The buffers that were kept were not overwritten.
  Random again(3);
  for (int i = 0; i < 500; ++i) {
    const std::string body = pattern(again.below(i % 20 == 0 ? 500'000 : 2000), i);
    ASSERT_TRUE(as_text(messages.kept[i].bytes()) == body) << i;
    again.below(body.size() + 4);
    again.chance(1, 2);
    again.chance(1, 8);
  }
}

TEST_F(Stream, a_handler_is_not_called_before_the_bytes_that_it_wants_have_arrived) {
  listen();
  server.recorder.when_bytes = [&](const mem::Buffer& bytes) {
    return bytes.size() < 10 ? Consumed{0, 10} : Consumed{bytes.size()};
  };
  auto client = connect();
  for (int i = 0; i < 10; ++i) {
    EXPECT_LE(server.recorder.shows, 1);
    send_all(client, "x");
    ASSERT_TRUE(run_until(
        [&] { return server.connection && server.connection->received_bytes() == size_t(i) + 1; }));
  }
  EXPECT_EQ(server.recorder.shows, 2);
}

TEST_F(Stream, a_huge_length_allocates_nothing_and_closes_the_connection) {
  listen();
  server.recorder.when_bytes = [&](const mem::Buffer& bytes) {
    return Consumed{0, bytes.size() < 4 ? 4 : size_t(4) + load_le<uint32_t>(bytes.data())};
  };
  auto client = connect();
  send_all(client, "\xff\xff\xff\x7f");
  EXPECT_TRUE(run_until([&] { return server.recorder.closed.has_value(); }));
  EXPECT_EQ(server.recorder.closed->code, BOP_E_TOO_LARGE);
  receive(client, 1);
  EXPECT_TRUE(client.ended());
}

TEST_F(Stream, bytes_that_are_never_consumed_are_bounded) {
  net::StreamLimits limits;
  limits.max_message_bytes = 100'000;
  listen(limits);
  server.recorder.when_bytes = [](const mem::Buffer&) { return Consumed{}; };
  auto client = connect();
  const std::string text(1'000'000, 'x');
  send_all(client, text);
  EXPECT_TRUE(run_until([&] { return server.recorder.closed.has_value(); }));
  EXPECT_EQ(server.recorder.closed->code, BOP_E_TOO_LARGE);
  EXPECT_LT(server.connection->received_bytes(), 300'000u);
}

TEST_F(Stream, reading_from_a_client_that_never_reads_stops_and_its_memory_is_bounded) {
  net::StreamLimits limits;
  limits.pause_reading_at = 100'000;
  listen(limits);
  const std::string answer(1000, 'a');
  size_t most_queued = 0;
  server.recorder.when_bytes = [&](const mem::Buffer& bytes) {
    for (size_t i = 0; i < bytes.size(); ++i) server.connection->append(as_bytes(answer));
    most_queued = std::max(most_queued, server.connection->queued_bytes());
    return Consumed{bytes.size()};
  };
  auto client = connect();
  wait_for_server();
  // 20 KB of requests would cause 20 MB of replies.
  size_t sent = 0, unchanged = 0;
  ASSERT_TRUE(run_until([&] {
    sent += sent < 20'000 ? client.send_some("xxxxxxxxxx") : 0;
    const bool throttled = server.connection->queued_bytes() > limits.pause_reading_at;
    unchanged = throttled ? unchanged + 1 : 0;
    return unchanged > 100;
  }));
  EXPECT_LT(server.connection->received_bytes(), 20'000u);
  EXPECT_LT(most_queued, 6'000'000u);
  EXPECT_FALSE(server.recorder.closed.has_value());
  // It reads at last, and nothing is missing.
  size_t got = 0;
  ASSERT_TRUE(run_until([&] {
    sent += sent < 20'000 ? client.send_some("xxxxxxxxxx") : 0;
    got += client.receive_some().size();
    return sent >= 20'000 && got == sent * 1000;
  }));
  EXPECT_GE(server.recorder.drained, 1);
}

TEST_F(Stream, output_over_its_limit_closes_the_connection) {
  net::StreamLimits limits;
  limits.max_output_bytes = 1'000'000;
  listen(limits);
  auto client = connect();
  wait_for_server();
  const std::string piece(10'000, 'x');
  for (int i = 0; i < 3000 && server.connection->open(); ++i) {
    server.connection->append(as_bytes(piece));
    EXPECT_LE(server.connection->queued_bytes(), limits.max_output_bytes + piece.size());
  }
  EXPECT_FALSE(server.connection->open());
  EXPECT_FALSE(server.recorder.closed.has_value()) << "told from within append";
  EXPECT_TRUE(run_until([&] { return server.recorder.closed.has_value(); }));
  EXPECT_EQ(server.recorder.closed->code, BOP_E_OVERLOADED);
  server.connection->append(as_bytes(piece));  // does nothing
  EXPECT_EQ(server.connection->queued_bytes(), 0u);
}

TEST_F(Stream, a_handler_that_pauses_by_itself_is_shown_bytes_while_output_is_queued) {
  net::StreamLimits limits;
  limits.pause_reading_at = 100'000;
  limits.handler_pauses = true;
  limits.max_output_bytes = 64 << 20;
  listen(limits);
  auto client = connect();
  wait_for_server();
  const std::string much = pattern(30 << 20);
  server.connection->append(as_bytes(much));
  ASSERT_TRUE(run_until([&] { return server.connection->throttled(); }));
  send_all(client, "hello");
  EXPECT_TRUE(run_until([&] { return server.recorder.received == "hello"; }));
  EXPECT_TRUE(server.connection->throttled());
  EXPECT_EQ(receive(client, much.size()).size(), much.size());
  EXPECT_TRUE(run_until([&] { return server.recorder.drained == 1; }));
}

TEST_F(Stream, reports_when_the_other_side_reads_nothing_although_progress_is_expected) {
  net::StreamLimits limits;
  limits.max_output_bytes = 64 << 20;
  listen(limits);
  auto client = connect();
  wait_for_server();
  const std::string much = pattern(30 << 20);
  server.connection->append(as_bytes(much));
  server.connection->expect_progress(300 * milliseconds);
  size_t got = 0;
  const Instant start = io::Loop::read_clock();
  // There is progress as long as it reads now and then.
  ASSERT_TRUE(run_until([&] {
    if (got < 3'000'000) got += client.receive_some().size();
    return io::Loop::read_clock() > start + 900 * milliseconds && got >= 3'000'000;
  }));
  ASSERT_TRUE(run_until([&] { return server.recorder.stalled == 1; }));
  EXPECT_GE(io::Loop::read_clock(), start + 300 * milliseconds);
  EXPECT_FALSE(server.recorder.closed.has_value()) << "that is the handler's to decide";
}

TEST_F(Stream, a_client_that_is_still_writing_can_read_what_was_sent_before_the_end) {
  net::StreamLimits limits;
  limits.max_output_bytes = 64 << 20;
  listen(limits);
  auto client = connect();
  wait_for_server();
  const std::string much = pattern(30 << 20);
  server.connection->append(as_bytes(much));
  server.connection->finish();
  // It writes everything before it reads, more than fits the sockets' buffers.
  send_all(client, std::string(20 << 20, 'w'));
  EXPECT_TRUE(receive(client, much.size()) == much);
  EXPECT_TRUE(run_until([&] { return client.ended() || !client.receive_some().empty(); }));
  EXPECT_TRUE(client.ended());
  EXPECT_EQ(server.recorder.received, "");
}

TEST_F(Stream, connections_that_hold_too_much_together_lose_the_largest) {
  metrics::Registry registry;
  net::StreamBudget budget(loop, {.output_bytes = 10'000'000}, registry, 0);
  std::vector<std::unique_ptr<Side>> sides;
  auto opened = net::Acceptor::listen(loop, on_free_port(),
                                      {{&streams,
                                        [&](std::unique_ptr<net::Connection> connection) {
                                          sides.push_back(std::make_unique<Side>());
                                          sides.back()->start(std::move(connection));
                                        },
                                        &budget}});
  ASSERT_TRUE(opened.has_value());
  std::list<PlainClient> clients;
  for (int i = 0; i < 4; ++i) clients.emplace_back((*opened)->address());
  ASSERT_TRUE(run_until([&] { return sides.size() == 4; }));
  sides[0]->connection->hold(0, 2'000'000);
  sides[1]->connection->hold(0, 5'000'000);
  sides[2]->connection->hold(0, 2'900'000);
  EXPECT_EQ(budget.output_bytes(), 9'900'000u);
  testing::internal::CaptureStderr();
  sides[3]->connection->hold(0, 200'000);
  const std::string logged = testing::internal::GetCapturedStderr();
  EXPECT_NE(logged.find("disconnected: it holds 5000000 bytes of replies"), std::string::npos)
      << logged;
  EXPECT_NE(logged.find("limits.total_output_bytes"), std::string::npos) << logged;
  EXPECT_FALSE(sides[1]->connection->open());
  EXPECT_EQ(budget.output_bytes(), 5'100'000u);
  EXPECT_EQ(budget.connections(), 3u);
  const std::string metrics = registry.text();
  EXPECT_NE(metrics.find("bop_client_output_bytes{shard=\"0\"} 5100000"), std::string::npos)
      << metrics;
  EXPECT_NE(
      metrics.find("bop_client_disconnects_total{limit=\"total_output_bytes\",shard=\"0\"} 1"),
      std::string::npos)
      << metrics;
  EXPECT_TRUE(run_until([&] { return sides[1]->recorder.closed.has_value(); }));
  // Bytes queued in the connection itself count too.
  sides[3]->connection->append(as_bytes(pattern(64 << 10)));
  EXPECT_GE(budget.output_bytes(), 5'100'000u + (64 << 10));
  sides[0]->connection->hold(0, 8'000'000);
  EXPECT_FALSE(sides[0]->connection->open()) << "it is the largest itself";
  // A lower limit applies to what is held already.
  EXPECT_TRUE(sides[2]->connection->open());
  EXPECT_NE(registry.text().find("bop_client_output_limit_bytes{shard=\"0\"} 10000000"),
            std::string::npos);
  budget.set_limits({.output_bytes = 3'000'000});
  EXPECT_NE(registry.text().find("bop_client_output_limit_bytes{shard=\"0\"} 3000000"),
            std::string::npos);
  EXPECT_FALSE(sides[2]->connection->open());
  EXPECT_TRUE(sides[3]->connection->open());
  for (auto& side : sides) side->connection.reset();
  EXPECT_EQ(budget.output_bytes(), 0u);
}

// A slow client takes most of a large reply into the buffers of its system: what is left must not keep all of it.
TEST_F(Stream, a_reply_that_is_sent_in_part_counts_with_the_memory_it_keeps) {
  metrics::Registry registry;
  net::StreamBudget budget(loop, {}, registry, 0);
  Side side;
  auto opened = net::Acceptor::listen(
      loop, on_free_port(),
      {{&streams,
        [&](std::unique_ptr<net::Connection> connection) { side.start(std::move(connection)); },
        &budget}});
  ASSERT_TRUE(opened.has_value());
  PlainClient client((*opened)->address());
  ASSERT_TRUE(run_until([&] { return side.connection != nullptr; }));
  constexpr size_t size = 15 << 20;
  mem::Block* block = mem::allocate_block(size);
  std::memset(block->data(), 'x', size);
  const mem::Buffer reply(block, block->data(), size);
  side.connection->append(reply);
  size_t received = 0;
  const auto receive_some = [&] { received += client.receive_some().size(); };
  ASSERT_TRUE(run_until([&] {
    receive_some();
    return side.connection->queued_bytes() < size;
  }));
  ASSERT_GT(side.connection->queued_bytes(), size / 2);
  EXPECT_GE(budget.output_bytes(), size) << "the block is there as a whole";
  EXPECT_EQ(block->references, 2u);
  ASSERT_TRUE(run_until([&] {
    receive_some();
    return side.connection->queued_bytes() < size / 2;
  }));
  EXPECT_EQ(block->references, 1u) << "only this test's";
  EXPECT_LE(budget.output_bytes(), size);
  ASSERT_TRUE(run_until([&] {
    receive_some();
    return received == size;
  }));
  EXPECT_EQ(budget.output_bytes(), 0u);
  side.connection.reset();
}

TEST_F(Stream, a_paused_connection_shows_nothing_until_it_is_resumed) {
  listen();
  auto client = connect();
  wait_for_server();
  server.connection->pause();
  send_all(client, "hello");
  for (int i = 0; i < 20; ++i) loop.run_turn(loop.now() + 1 * milliseconds);
  EXPECT_EQ(server.recorder.received, "");
  server.connection->resume();
  EXPECT_EQ(server.recorder.received, "") << "shown from within resume";
  EXPECT_TRUE(run_until([&] { return server.recorder.received == "hello"; }));
}

TEST_F(Stream, unconsumed_bytes_are_shown_again_on_resume_without_further_input) {
  listen();
  server.recorder.when_bytes = [&](const mem::Buffer& bytes) {
    server.recorder.received += as_text(bytes.bytes().first(1));
    server.connection->pause();
    return Consumed{1};
  };
  auto client = connect();
  send_all(client, "abc");
  client.end_sending();
  for (const char* expected : {"a", "ab", "abc"}) {
    EXPECT_TRUE(run_until([&] { return server.recorder.received == expected; }));
    for (int i = 0; i < 5; ++i) loop.run_turn(loop.now());
    EXPECT_EQ(server.recorder.received, expected);
    EXPECT_EQ(server.recorder.ends, 0);
    server.connection->resume();
  }
  EXPECT_TRUE(run_until([&] { return server.recorder.ends == 1; }));
}

TEST_F(Stream, a_client_that_shuts_down_sending_still_gets_its_replies) {
  listen();
  server.recorder.keep_at_end = true;
  auto client = connect();
  send_all(client, "question");
  client.end_sending();
  ASSERT_TRUE(run_until([&] { return server.recorder.ends == 1; }));
  EXPECT_EQ(server.recorder.received, "question");
  server.connection->append(as_bytes("answer"));
  server.connection->finish();
  EXPECT_EQ(receive(client, 100), "answer");
  EXPECT_TRUE(client.ended());
  EXPECT_TRUE(run_until([&] { return server.recorder.closed.has_value(); }));
}

TEST_F(Stream, by_default_the_end_of_input_closes_when_the_queue_is_sent) {
  listen();
  server.recorder.when_bytes = [&](const mem::Buffer& bytes) {
    server.connection->append(bytes);
    return Consumed{bytes.size()};
  };
  auto client = connect();
  send_all(client, "echo");
  client.end_sending();
  EXPECT_EQ(receive(client, 100), "echo");
  EXPECT_TRUE(client.ended());
  EXPECT_TRUE(run_until([&] { return server.recorder.closed.has_value(); }));
  EXPECT_EQ(server.recorder.closed->code, BOP_E_CONNECTION_LOST);
}

TEST_F(Stream, the_last_reply_reaches_a_client_that_is_still_sending) {
  listen();
  const std::string last_words = pattern(200'000);
  server.recorder.when_bytes = [&](const mem::Buffer&) {
    server.connection->append(as_bytes(last_words));
    server.connection->finish({BOP_E_PROTOCOL, "told so"});
    return Consumed{};
  };
  auto client = connect();
  std::string got;
  ASSERT_TRUE(run_until([&] {
    client.send_some(std::string(10'000, 'x'));
    got += client.receive_some();
    return got.size() >= last_words.size() || client.ended();
  }));
  EXPECT_FALSE(client.reset());
  EXPECT_TRUE(got == last_words);
  EXPECT_EQ(server.recorder.shows, 1);
  client.close();
  EXPECT_TRUE(run_until([&] { return server.recorder.closed.has_value(); }));
  EXPECT_EQ(server.recorder.closed->code, BOP_E_PROTOCOL);
}

TEST_F(Stream, a_handler_may_finish_and_consume_in_one_call) {
  listen();
  server.recorder.when_bytes = [&](const mem::Buffer& bytes) {
    server.connection->finish();
    return Consumed{bytes.size()};
  };
  auto client = connect();
  send_all(client, "x");
  receive(client, 1);
  EXPECT_TRUE(client.ended());
}

TEST_F(Stream, a_client_that_never_closes_is_disconnected_after_the_linger_limit) {
  listen();
  auto client = connect();
  wait_for_server();
  server.connection->finish();
  EXPECT_TRUE(run_until([&] { return server.recorder.closed.has_value(); }));
  EXPECT_EQ(server.recorder.closed->code, BOP_E_STOPPED);
}

TEST_F(Stream, a_client_that_sends_without_end_is_disconnected_after_the_linger_bytes) {
  listen();
  server.recorder.when_bytes = [&](const mem::Buffer& bytes) {
    server.connection->append(as_bytes("no"));
    server.connection->finish();
    return Consumed{bytes.size()};
  };
  auto client = connect();
  const std::string more(1 << 20, 'x');
  std::string got;
  ASSERT_TRUE(run_until([&] {
    client.send_some(more);
    got += client.receive_some();
    return server.recorder.closed.has_value();
  }));
  EXPECT_EQ(got, "no");
  EXPECT_EQ(server.recorder.closed->code, BOP_E_STOPPED);
  EXPECT_LT(server.connection->received_bytes(), 5u << 20);
}

TEST_F(Stream, a_reset_is_a_lost_connection) {
  listen();
  auto client = connect();
  wait_for_server();
  client.reset_connection();
  EXPECT_TRUE(run_until([&] { return server.recorder.closed.has_value(); }));
  EXPECT_EQ(server.recorder.closed->code, BOP_E_CONNECTION_LOST);
  EXPECT_FALSE(server.connection->open());
}

TEST_F(Stream, a_handler_may_destroy_its_connection) {
  listen();
  server.recorder.when_bytes = [&](const mem::Buffer& bytes) {
    server.connection.reset();
    return Consumed{bytes.size()};
  };
  auto client = connect();
  send_all(client, "x");
  receive(client, 1);
  EXPECT_TRUE(client.ended());
  EXPECT_EQ(streams.open_connections(), 0u);
  EXPECT_FALSE(server.recorder.closed.has_value()) << "told after it was destroyed";
}

TEST_F(Stream, a_connection_destroyed_with_bytes_queued_is_closed_at_once) {
  listen();
  auto client = connect();
  wait_for_server();
  server.connection->append(as_bytes("never sent"));
  server.connection.reset();
  EXPECT_EQ(receive(client, 1), "");
  EXPECT_TRUE(client.ended());
}

TEST_F(Stream, a_close_before_start_is_reported_after_it) {
  std::unique_ptr<net::Connection> held;
  auto opened = net::Acceptor::listen(
      loop, on_free_port(),
      {{&streams, [&](std::unique_ptr<net::Connection> c) { held = std::move(c); }}});
  acceptor = std::move(*opened);
  auto client = connect();
  ASSERT_TRUE(run_until([&] { return held != nullptr; }));
  held->close({BOP_E_STOPPED, "changed its mind"});
  server.start(std::move(held));
  EXPECT_TRUE(run_until([&] { return server.recorder.closed.has_value(); }));
  EXPECT_EQ(server.recorder.closed->code, BOP_E_STOPPED);
}

TEST_F(Stream, everything_is_freed_when_the_loop_ends_during_operations) {
  // For the leak checker: reads, writes, posts and flushes that never complete.
  listen();
  auto client = connect();
  wait_for_server();
  const std::string piece(1 << 20, 'x');
  for (int i = 0; i < 10; ++i) server.connection->append(as_bytes(piece));
  loop.run_turn(loop.now());
  server.connection->append(as_bytes(piece));
  server.connection.reset();
}

TEST_F(Stream, two_connections_echo_a_lot_to_each_other) {
  net::StreamLimits limits;
  limits.max_output_bytes = 64 << 20;
  listen(limits);
  server.recorder.when_bytes = [&](const mem::Buffer& bytes) {
    server.connection->append(bytes);
    return Consumed{bytes.size()};
  };
  Side client;
  limits.pause_reading_at = net::never_pause;
  auto call = net::dial(streams, acceptor->address(), limits, long_enough,
                        [&](Result<std::unique_ptr<net::Connection>> connection) {
                          ASSERT_TRUE(connection.has_value()) << connection.error().to_string();
                          client.start(std::move(*connection));
                        });
  ASSERT_TRUE(run_until([&] { return client.connection != nullptr; }));
  const std::string text = pattern(16 << 20);
  client.connection->append(as_bytes(text));
  EXPECT_TRUE(run_until([&] { return client.recorder.received.size() == text.size(); }));
  EXPECT_TRUE(client.recorder.received == text);
}

TEST_F(Stream, unix_sockets_carry_the_same) {
  const std::string path =
      (std::filesystem::temp_directory_path() / ("bop-" + std::to_string(getpid()) + ".sock"))
          .string();
  net::ListenOptions options;
  options.address.path = path;
  listen(options);
  EXPECT_EQ(acceptor->address().to_string(), "unix:" + path);
  auto client = connect();
  const std::string text = pattern(1'000'000);
  send_all(client, text);
  EXPECT_TRUE(run_until([&] { return server.recorder.received == text; }));
  EXPECT_EQ(server.connection->peer(), "unix");
  acceptor.reset();
  EXPECT_FALSE(std::filesystem::exists(path));
}

}  // namespace
}  // namespace bop::tests

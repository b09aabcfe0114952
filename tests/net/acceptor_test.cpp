#include "net/acceptor.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <filesystem>
#include <list>
#include <thread>

#include "net/address.h"
#include "rig.h"

namespace bop::tests {
namespace {

TEST(Address, host_and_port_are_parsed_and_written) {
  for (const char* text : {"127.0.0.1:7100", "[::1]:7100", "localhost:1", "db1.example:65535",
                           "unix:/run/bop.sock", "127.0.0.1:0"}) {
    const auto address = net::parse_address(text);
    ASSERT_TRUE(address.has_value()) << text << ": " << address.error().to_string();
    EXPECT_EQ(address->to_string(), text);
  }
}

TEST(Address, invalid_text_is_refused_with_the_reason) {
  for (const std::string text : {"", "7100", "host", "host:", ":7100", "host:x", "host:65536",
                                 "host:-1", "::1:7100", "host:71 00", "unix:", "host:7100x"}) {
    const auto address = net::parse_address(text);
    ASSERT_FALSE(address.has_value()) << text;
    EXPECT_EQ(address.error().code, BOP_E_BAD_ADDRESS);
    EXPECT_EQ(address.error().detail.find("\"" + text + "\": "), 0u) << address.error().detail;
  }
  EXPECT_FALSE(net::parse_address("unix:/" + std::string(107, 'x')).has_value());
}

TEST(Address, local_addresses_are_recognised) {
  for (const char* text : {"127.0.0.1:1", "127.8.9.1:1", "localhost:1", "[::1]:1", "unix:/x"}) {
    EXPECT_TRUE(net::parse_address(text)->is_local()) << text;
  }
  for (const char* text : {"0.0.0.0:1", "10.0.0.1:1", "[::]:1", "example.org:1"}) {
    EXPECT_FALSE(net::parse_address(text)->is_local()) << text;
  }
}

class AcceptorTest : public testing::Test {
 protected:
  Result<std::unique_ptr<net::Acceptor>> listen(const net::ListenOptions& options) {
    return net::Acceptor::listen(loop, options,
                                 {{&streams, [this](std::unique_ptr<net::Connection> connection) {
                                     sides.emplace_back().start(std::move(connection));
                                   }}});
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
  net::Streams streams{loop};
  std::list<Side> sides;
};

TEST_F(AcceptorTest, a_free_port_is_chosen_and_reported) {
  auto acceptor = listen(on_free_port());
  ASSERT_TRUE(acceptor.has_value());
  EXPECT_NE((*acceptor)->address().port, 0);
}

TEST_F(AcceptorTest, a_port_in_use_is_named) {
  auto first = listen(on_free_port()).value();
  net::ListenOptions options;
  options.address = first->address();
  auto second = listen(options);
  ASSERT_FALSE(second.has_value());
  EXPECT_EQ(second.error().code, BOP_E_ADDRESS_IN_USE);
  EXPECT_EQ(second.error().detail, first->address().to_string() + " is in use by another process");
}

TEST_F(AcceptorTest, a_port_is_free_again_when_its_acceptor_is_destroyed) {
  auto first = listen(on_free_port()).value();
  net::ListenOptions options;
  options.address = first->address();
  PlainClient client(first->address());
  ASSERT_TRUE(run_until([&] { return sides.size() == 1; }));
  sides.clear();  // this side closes first: the port is in TIME_WAIT
  first.reset();
  loop.run_turn(loop.now());
  EXPECT_TRUE(listen(options).has_value());
}

TEST_F(AcceptorTest, an_address_of_another_host_is_an_error_that_names_it) {
  net::ListenOptions options;
  options.address = {.host = "192.0.2.1", .port = 7100, .path = {}};
  auto acceptor = listen(options);
  ASSERT_FALSE(acceptor.has_value());
  EXPECT_EQ(acceptor.error().code, BOP_E_IO);
  EXPECT_NE(acceptor.error().detail.find("192.0.2.1:7100"), std::string::npos);
}

TEST_F(AcceptorTest, connections_over_the_limit_are_sent_the_refusal) {
  net::ListenOptions options = on_free_port();
  options.max_connections = 2;
  options.refusal = "-ERR max number of clients reached\r\n";
  auto acceptor = listen(options).value();
  PlainClient first(acceptor->address()), second(acceptor->address()), third(acceptor->address());
  std::string got;
  EXPECT_TRUE(run_until([&] {
    got += third.receive_some();
    return third.ended();
  }));
  EXPECT_EQ(got, options.refusal);
  EXPECT_EQ(acceptor->connections(), 2u);
  EXPECT_EQ(sides.size(), 2u);
  // Another one is accepted when one has left.
  first.close();
  EXPECT_TRUE(run_until([&] { return acceptor->connections() == 1; }));
  PlainClient fourth(acceptor->address());
  EXPECT_TRUE(run_until([&] { return sides.size() == 3; }));
}

TEST_F(AcceptorTest, connections_leave_descriptors_for_the_rest_of_the_process) {
  net::ListenOptions options = on_free_port();
  options.spare_descriptors = 16;
  options.refusal = "-ERR max number of clients reached\r\n";
  auto acceptor = listen(options).value();
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  const rlimit few{96, before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &few), 0);
  std::list<PlainClient> clients;
  std::string got;
  while (got.empty() && clients.size() < 96) {
    clients.emplace_back(acceptor->address());
    const size_t open = sides.size();
    run_until(
        [&] { return sides.size() > open || !(got += clients.back().receive_some()).empty(); });
  }
  EXPECT_EQ(got, options.refusal);
  clients.pop_back();
  std::vector<int> spare;
  while (spare.size() < 14) spare.push_back(dup(2));
  EXPECT_TRUE(std::ranges::all_of(spare, [](int taken) { return taken >= 0; }));
  for (const int taken : spare) close(taken);
  setrlimit(RLIMIT_NOFILE, &before);
}

TEST_F(AcceptorTest, a_listener_may_use_descriptors_that_another_one_spares) {
  net::ListenOptions options = on_free_port();
  options.spare_descriptors = 32;
  options.refusal = "refused";
  auto acceptor = listen(options).value();
  options.spare_descriptors = 8;
  options.address.port = 0;
  auto reserved = listen(options).value();
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  const rlimit few{160, before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &few), 0);
  std::list<PlainClient> clients;
  std::string got;
  while (got.empty() && clients.size() < 160) {
    clients.emplace_back(acceptor->address());
    const size_t open = sides.size();
    run_until(
        [&] { return sides.size() > open || !(got += clients.back().receive_some()).empty(); });
  }
  EXPECT_EQ(got, "refused");
  const size_t open = sides.size();
  PlainClient client(reserved->address());
  EXPECT_TRUE(run_until([&] { return sides.size() > open; }));
  setrlimit(RLIMIT_NOFILE, &before);
}

TEST_F(AcceptorTest, a_unix_socket_left_behind_is_replaced_and_one_in_use_is_not) {
  const std::string path =
      (std::filesystem::temp_directory_path() / ("bop-" + std::to_string(getpid()) + "-a.sock"))
          .string();
  net::ListenOptions options;
  options.address.path = path;
  {
    const int dead = socket(AF_UNIX, SOCK_STREAM, 0);
    sockaddr_un name{};
    name.sun_family = AF_UNIX;
    std::strncpy(name.sun_path, path.c_str(), sizeof name.sun_path - 1);
    ASSERT_EQ(bind(dead, reinterpret_cast<sockaddr*>(&name), sizeof name), 0);
    close(dead);
  }
  auto first = listen(options);
  ASSERT_TRUE(first.has_value()) << first.error().to_string();
  auto second = listen(options);
  ASSERT_FALSE(second.has_value());
  EXPECT_EQ(second.error().code, BOP_E_ADDRESS_IN_USE);
}

TEST_F(AcceptorTest, connections_go_to_the_loops_in_turn) {
  struct Shard {
    io::Loop loop;
    net::Streams streams{loop};
    std::list<Side> sides;
    std::atomic<int> accepted = 0;
    std::thread thread;
  };
  Shard shards[2];
  std::vector<net::AcceptTarget> targets;
  for (Shard& shard : shards) {
    targets.push_back({&shard.streams, [&shard](std::unique_ptr<net::Connection> connection) {
                         EXPECT_EQ(std::this_thread::get_id(), shard.thread.get_id());
                         Side& side = shard.sides.emplace_back();
                         side.recorder.when_bytes = [&side](const mem::Buffer& bytes) {
                           side.connection->append(bytes);
                           return net::Consumed{bytes.size()};
                         };
                         side.start(std::move(connection));
                         ++shard.accepted;
                       }});
    shard.loop.post([] {});
  }
  auto acceptor = net::Acceptor::listen(loop, on_free_port(), targets).value();
  for (Shard& shard : shards) shard.thread = std::thread([&shard] { shard.loop.run(); });
  std::list<PlainClient> clients;
  for (int i = 0; i < 10; ++i) clients.emplace_back(acceptor->address());
  EXPECT_TRUE(run_until([&] { return shards[0].accepted == 5 && shards[1].accepted == 5; }));
  for (PlainClient& client : clients) EXPECT_EQ(client.send_some("hello"), 5u);
  for (PlainClient& client : clients) {
    std::string got;
    EXPECT_TRUE(run_until([&] { return (got += client.receive_some()) == "hello"; }));
  }
  acceptor.reset();
  for (Shard& shard : shards) {
    shard.loop.post([&shard] { shard.sides.clear(); });
    shard.loop.stop();
    shard.thread.join();
  }
}

TEST_F(AcceptorTest, connections_to_a_loop_that_does_not_run_are_served_by_another) {
  io::Loop stuck;  // nobody runs it
  net::Streams stuck_streams{stuck};
  net::Streams own_streams{loop};
  std::list<std::unique_ptr<net::Connection>> own;
  int late = 0;
  std::vector<net::AcceptTarget> targets;
  targets.push_back({&own_streams, [&](std::unique_ptr<net::Connection> connection) {
                       own.push_back(std::move(connection));
                     }});
  targets.push_back({&stuck_streams, [&](std::unique_ptr<net::Connection>) { ++late; }});
  auto acceptor = net::Acceptor::listen(loop, on_free_port(), targets).value();
  std::list<PlainClient> clients;
  for (int i = 0; i < 4; ++i) clients.emplace_back(acceptor->address());
  EXPECT_TRUE(run_until([&] { return own.size() == 4; }));
  // From now on it gets none, until it runs again.
  for (int i = 0; i < 2; ++i) clients.emplace_back(acceptor->address());
  EXPECT_TRUE(run_until([&] { return own.size() == 6; }));
  stuck.run_turn(0);
  EXPECT_EQ(late, 0);
  for (int i = 0; i < 2; ++i) clients.emplace_back(acceptor->address());
  EXPECT_TRUE(run_until([&] {
    stuck.run_turn(0);
    return late == 1;
  }));
  EXPECT_EQ(own.size(), 7u);
  acceptor.reset();
}

class DialTest : public AcceptorTest {
 protected:
  Result<std::unique_ptr<net::Connection>> call(const net::Address& address,
                                                Duration limit = long_enough) {
    std::optional<Result<std::unique_ptr<net::Connection>>> result;
    auto dial = net::dial(streams, address, {}, limit, [&](auto value) {
      EXPECT_FALSE(result.has_value());
      result = std::move(value);
    });
    EXPECT_FALSE(result.has_value()) << "told from within";
    EXPECT_TRUE(run_until([&] { return result.has_value(); }));
    return std::move(*result);
  }
};

TEST_F(DialTest, names_are_resolved) {
  auto acceptor = listen(on_free_port()).value();
  net::Address address = acceptor->address();
  address.host = "LocalHost";  // has to be resolved, unlike "localhost"
  auto connection = call(address);
  ASSERT_TRUE(connection.has_value()) << connection.error().to_string();
  EXPECT_EQ((*connection)->peer(), acceptor->address().to_string());
}

TEST_F(DialTest, a_port_without_a_listener_is_refused_by_name) {
  net::Address address = listen(on_free_port()).value()->address();
  loop.run_turn(loop.now());
  auto connection = call(address);
  ASSERT_FALSE(connection.has_value());
  EXPECT_EQ(connection.error().code, BOP_E_CONNECTION_REFUSED);
  EXPECT_EQ(connection.error().detail.find(address.to_string()), 0u);
}

TEST_F(DialTest, a_listener_that_never_accepts_and_is_full_times_out) {
  net::ListenOptions options = on_free_port();
  options.backlog = 1;
  // On a loop that does not run.
  io::Loop stopped;
  net::Streams none(stopped);
  auto acceptor = net::Acceptor::listen(stopped, options, {{&none, [](auto) {}}}).value();
  std::list<PlainClient> waiting;
  for (int i = 0; i < 2; ++i) waiting.emplace_back(acceptor->address());
  auto connection = call(acceptor->address(), 50 * milliseconds);
  ASSERT_FALSE(connection.has_value());
  EXPECT_EQ(connection.error().code, BOP_E_TIMEOUT);
}

TEST_F(DialTest, a_cancelled_attempt_does_not_complete) {
  auto acceptor = listen(on_free_port()).value();
  bool told = false;
  auto dial = net::dial(streams, acceptor->address(), {}, long_enough, [&](auto) { told = true; });
  dial.reset();
  for (int i = 0; i < 10; ++i) loop.run_turn(loop.now());
  EXPECT_FALSE(told);
}

}  // namespace
}  // namespace bop::tests

#include "client/client.h"

#include <gtest/gtest.h>

#include <condition_variable>
#include <map>

#include "fake_server.h"
#include "io/loop.h"

namespace bop::client {
namespace {

using Reaction = FakeServer::Reaction;
using Kind = Reaction::Kind;
using proto::RequestKind;

// Collects outcomes by tag and waits for them.
class Collector : public Listener {
 public:
  struct Seen {
    int32_t status = 0;
    uint32_t attempts = 0;
    std::string body, detail;
  };

  void complete(const Outcome& outcome) override {
    {
      const std::lock_guard lock(mutex_);
      const bool fresh = seen_
                             .emplace(outcome.tag, Seen{outcome.status, outcome.attempts,
                                                        std::string(as_text(outcome.body)),
                                                        std::string(outcome.detail)})
                             .second;
      EXPECT_TRUE(fresh) << "tag " << outcome.tag << " completed twice";
    }
    if (on_complete) on_complete(outcome);
    changed_.notify_all();
  }
  Seen wait(uint64_t tag) {
    std::unique_lock lock(mutex_);
    const bool came =
        changed_.wait_for(lock, std::chrono::seconds(30), [&] { return seen_.contains(tag); });
    EXPECT_TRUE(came) << "tag " << tag;
    return came ? seen_.at(tag) : Seen{};
  }
  size_t count() {
    const std::lock_guard lock(mutex_);
    return seen_.size();
  }

  std::function<void(const Outcome&)> on_complete;

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<uint64_t, Seen> seen_;
};

std::unique_ptr<Client> open(std::vector<net::Address> endpoints, Collector& collector,
                             Options options = {}) {
  options.endpoints = std::move(endpoints);
  auto client = Client::open(std::move(options), collector);
  EXPECT_TRUE(client);
  return std::move(*client);
}

Request request(RequestKind kind, uint64_t tag, Duration timeout = 20 * seconds) {
  Request out;
  out.kind = kind;
  out.group = 1;
  out.tag = tag;
  out.timeout = timeout;
  return out;
}

FakeServer::Script always(Reaction reaction) {
  return [reaction](const proto::ClientRequest&) { return reaction; };
}

// An address without a listener: one had it and was closed.
net::Address dead_address() { return FakeServer(always({})).address(); }

Reaction echo(const proto::ClientRequest& request) {
  Reaction reaction;
  reaction.body = as_text(request.payload.bytes());
  return reaction;
}

Reaction reply(int32_t status, const std::string& body = {}, const std::string& detail = {}) {
  return {Kind::reply, status, body, detail};
}

TEST(AClient, gets_the_reply_to_its_request) {
  FakeServer server(echo);
  Collector collector;
  const auto client = open({server.address()}, collector);
  for (uint64_t tag = 0; tag < 100; ++tag) {
    const std::string payload = "payload " + std::to_string(tag);
    Request asked = request(RequestKind::propose, tag);
    asked.payload = as_bytes(payload);
    ASSERT_TRUE(client->submit(asked));
  }
  for (uint64_t tag = 0; tag < 100; ++tag) {
    const auto seen = collector.wait(tag);
    EXPECT_EQ(seen.status, BOP_OK);
    EXPECT_EQ(seen.attempts, 1u);
    EXPECT_EQ(seen.body, "payload " + std::to_string(tag));
  }
  EXPECT_EQ(server.connections, 1);
}

TEST(AClient, sends_large_payloads_whole) {
  FakeServer server(echo);
  Collector collector;
  const auto client = open({server.address()}, collector);
  const std::string payload(1'500'000, 'x');
  Request asked = request(RequestKind::query, 1);
  asked.payload = as_bytes(payload);
  ASSERT_TRUE(client->submit(asked));
  EXPECT_EQ(collector.wait(1).body, payload);
}

TEST(AClient, passes_on_the_reply_of_the_machine) {
  FakeServer server(always(reply(BOP_E_CONDITION_FAILED, "b", "d")));
  Collector collector;
  const auto client = open({server.address()}, collector);
  ASSERT_TRUE(client->submit(request(RequestKind::propose, 1)));
  const auto seen = collector.wait(1);
  EXPECT_EQ(seen.status, BOP_E_CONDITION_FAILED);
  EXPECT_EQ(seen.body, "b");
  EXPECT_EQ(seen.detail, "d");
  EXPECT_EQ(server.requests, 1);
}

TEST(AClient, retries_requests_that_were_refused_before_they_were_proposed) {
  std::atomic<int> asked = 0;
  FakeServer server([&](const auto&) { return reply(++asked < 3 ? BOP_E_UNAVAILABLE : BOP_OK); });
  Collector collector;
  const auto client = open({server.address()}, collector);
  ASSERT_TRUE(client->submit(request(RequestKind::propose, 1)));
  const auto seen = collector.wait(1);
  EXPECT_EQ(seen.status, BOP_OK);
  EXPECT_EQ(seen.attempts, 3u);
}

TEST(AClient, never_repeats_a_command_whose_outcome_is_unknown) {
  FakeServer server(always(reply(BOP_E_OUTCOME_UNKNOWN)));
  Collector collector;
  const auto client = open({server.address()}, collector);
  ASSERT_TRUE(client->submit(request(RequestKind::propose, 1)));
  EXPECT_EQ(collector.wait(1).status, BOP_E_OUTCOME_UNKNOWN);
  EXPECT_EQ(server.requests, 1);
}

TEST(AClient, does_not_know_the_outcome_of_a_command_whose_connection_broke) {
  FakeServer server(always({Kind::close}));
  Collector collector;
  const auto client = open({server.address()}, collector);
  ASSERT_TRUE(client->submit(request(RequestKind::propose, 1)));
  const auto seen = collector.wait(1);
  EXPECT_EQ(seen.status, BOP_E_OUTCOME_UNKNOWN);
  EXPECT_NE(seen.detail.find(server.text()), std::string::npos) << seen.detail;
  EXPECT_EQ(server.requests, 1);
}

TEST(AClient, sends_a_command_elsewhere_that_a_server_which_stops_did_not_answer) {
  FakeServer stopping(always({Kind::stop}));
  FakeServer other(echo);
  Collector collector;
  const auto client = open({stopping.address(), other.address()}, collector);
  ASSERT_TRUE(client->submit(request(RequestKind::propose, 1)));
  const auto seen = collector.wait(1);
  EXPECT_EQ(seen.status, BOP_OK) << seen.detail;
  EXPECT_EQ(stopping.requests, 1);
  EXPECT_EQ(other.requests, 1);
}

TEST(AClient, repeats_a_query_whose_connection_broke) {
  std::atomic<int> asked = 0;
  FakeServer server([&](const auto&) { return ++asked < 3 ? Reaction{Kind::close} : reply(0); });
  Collector collector;
  const auto client = open({server.address()}, collector);
  ASSERT_TRUE(client->submit(request(RequestKind::query, 1)));
  const auto seen = collector.wait(1);
  EXPECT_EQ(seen.status, BOP_OK);
  EXPECT_EQ(seen.attempts, 3u);
}

TEST(AClient, goes_on_to_the_next_endpoint_when_one_is_dead) {
  FakeServer server(echo);
  Collector collector;
  const auto client = open({dead_address(), server.address()}, collector);
  ASSERT_TRUE(client->submit(request(RequestKind::propose, 1)));
  const auto seen = collector.wait(1);
  EXPECT_EQ(seen.status, BOP_OK);
  EXPECT_EQ(seen.attempts, 1u);  // it was never sent to the dead endpoint
}

TEST(AClient, follows_the_leader_hint_and_remembers_it) {
  FakeServer leader(echo);
  Reaction hint = reply(BOP_E_NOT_LEADER);
  hint.leader_address = leader.text();
  FakeServer follower(always(hint));
  Collector collector;
  const auto client = open({follower.address()}, collector);  // the leader is not even given
  for (uint64_t tag = 0; tag < 5; ++tag) {
    ASSERT_TRUE(client->submit(request(RequestKind::propose, tag)));
    EXPECT_EQ(collector.wait(tag).status, BOP_OK);
  }
  EXPECT_EQ(follower.requests, 1);
  EXPECT_EQ(leader.requests, 5);
}

TEST(AClient, resolves_a_groups_name_once) {
  std::atomic<int> names = 0;
  FakeServer server([&](const proto::ClientRequest& request) {
    if (request.kind != RequestKind::find_group) {
      return reply(BOP_OK, "group " + std::to_string(request.group));
    }
    ++names;
    EXPECT_EQ(as_text(request.payload.bytes()), "orders");
    return reply(BOP_OK, std::string("\x2a\0\0\0\0\0\0\0", 8));
  });
  Collector collector;
  const auto client = open({server.address()}, collector);
  Request asked = request(RequestKind::propose, 0);
  asked.group = 0;
  asked.group_name = "orders";
  for (asked.tag = 0; asked.tag < 3; ++asked.tag) {
    ASSERT_TRUE(client->submit(asked));
    EXPECT_EQ(collector.wait(asked.tag).body, "group 42");
  }
  EXPECT_EQ(names, 1);
}

TEST(AClient, reports_that_no_endpoint_has_the_group) {
  FakeServer one(always(reply(BOP_E_NO_GROUP))), two(always(reply(BOP_E_NO_GROUP)));
  Collector collector;
  const auto client = open({one.address(), two.address()}, collector);
  ASSERT_TRUE(client->submit(request(RequestKind::propose, 1)));
  EXPECT_EQ(collector.wait(1).status, BOP_E_NO_GROUP);
  EXPECT_EQ(one.requests, 1);
  EXPECT_EQ(two.requests, 1);
}

TEST(AClient, names_every_endpoints_cause_when_none_accepts_a_request_in_time) {
  const net::Address dead = dead_address();
  FakeServer refusing(always(reply(BOP_E_UNAVAILABLE, "", "no leader is known")));
  Collector collector;
  const auto client = open({dead, refusing.address()}, collector);
  ASSERT_TRUE(client->submit(request(RequestKind::propose, 1, 300 * milliseconds)));
  const auto seen = collector.wait(1);
  EXPECT_EQ(seen.status, BOP_E_UNAVAILABLE);
  EXPECT_NE(seen.detail.find(dead.to_string() + ": "), std::string::npos) << seen.detail;
  EXPECT_NE(seen.detail.find(refusing.text() + ": no leader is known"), std::string::npos)
      << seen.detail;
}

TEST(AClient, names_every_endpoints_cause_when_a_server_gave_up_too) {
  const net::Address dead = dead_address();
  FakeServer late([](const proto::ClientRequest& request) {
    return request.kind == RequestKind::query ? reply(BOP_E_TIMEOUT, "", "no leader confirmed it")
                                              : reply(BOP_E_OUTCOME_UNKNOWN, "", "the leader fell");
  });
  Collector collector;
  const auto client = open({dead, late.address()}, collector);
  ASSERT_TRUE(client->submit(request(RequestKind::query, 1)));
  auto seen = collector.wait(1);
  EXPECT_EQ(seen.status, BOP_E_TIMEOUT);
  EXPECT_NE(seen.detail.find(dead.to_string() + ": "), std::string::npos) << seen.detail;
  EXPECT_NE(seen.detail.find(late.text() + ": no leader confirmed it"), std::string::npos)
      << seen.detail;
  ASSERT_TRUE(client->submit(request(RequestKind::propose, 2)));
  seen = collector.wait(2);
  EXPECT_EQ(seen.status, BOP_E_OUTCOME_UNKNOWN);
  EXPECT_NE(seen.detail.find(dead.to_string() + ": "), std::string::npos) << seen.detail;
  EXPECT_NE(seen.detail.find(late.text() + ": the leader fell"), std::string::npos) << seen.detail;
}

TEST(AClient, reports_overloaded_when_that_is_the_reason) {
  FakeServer server(always(reply(BOP_E_OVERLOADED)));
  Collector collector;
  const auto client = open({server.address()}, collector);
  ASSERT_TRUE(client->submit(request(RequestKind::propose, 1, 100 * milliseconds)));
  EXPECT_EQ(collector.wait(1).status, BOP_E_OVERLOADED);
}

TEST(AClient, reports_an_unknown_outcome_for_a_sent_command_at_the_deadline) {
  FakeServer server(always({Kind::silence}));
  Collector collector;
  const auto client = open({server.address()}, collector);
  const Instant before = io::Loop::read_clock();
  ASSERT_TRUE(client->submit(request(RequestKind::propose, 1, 200 * milliseconds)));
  ASSERT_TRUE(client->submit(request(RequestKind::query, 2, 200 * milliseconds)));
  EXPECT_EQ(collector.wait(1).status, BOP_E_OUTCOME_UNKNOWN);
  EXPECT_EQ(collector.wait(2).status, BOP_E_TIMEOUT);
  EXPECT_GE(io::Loop::read_clock() - before, 200 * milliseconds);
  for (const uint64_t tag : {1, 2}) {
    EXPECT_EQ(collector.wait(tag).detail, server.text() + ": no answer within the timeout");
  }
}

TEST(AClient, reports_when_no_server_greeted_it_before_the_deadline) {
  FakeServer mute(echo, 0, false);
  Collector collector;
  const auto client = open({mute.address()}, collector);
  ASSERT_TRUE(client->submit(request(RequestKind::propose, 1, 200 * milliseconds)));
  const auto seen = collector.wait(1);
  EXPECT_EQ(seen.status, BOP_E_UNAVAILABLE);
  EXPECT_EQ(seen.detail, mute.text() + ": no connection within the timeout");
}

TEST(AClient, sends_the_server_a_deadline_before_its_own) {
  std::atomic<uint32_t> told = 0;
  FakeServer server([&](const proto::ClientRequest& request) {
    told = request.deadline_us;
    return Reaction{};
  });
  Collector collector;
  const auto client = open({server.address()}, collector);
  ASSERT_TRUE(client->submit(request(RequestKind::propose, 1, 20 * seconds)));
  collector.wait(1);
  EXPECT_GT(told, 10'000'000u);
  EXPECT_LE(told, 19'900'000u);
}

TEST(AClient, leaves_a_server_that_accepts_and_does_not_answer) {
  FakeServer mute(echo, 0, false);
  FakeServer server(echo);
  Collector collector;
  Options options;
  options.connect_timeout = 100 * milliseconds;
  const auto client = open({mute.address(), server.address()}, collector, options);
  ASSERT_TRUE(client->submit(request(RequestKind::propose, 1)));
  EXPECT_EQ(collector.wait(1).status, BOP_OK);
}

TEST(AClient, leaves_a_server_that_stopped_answering_and_asks_elsewhere) {
  FakeServer stuck(always({Kind::silence}));
  FakeServer server(echo);
  Collector collector;
  Options options;
  options.connect_timeout = 100 * milliseconds;
  const auto client = open({stuck.address(), server.address()}, collector, options);
  ASSERT_TRUE(client->submit(request(RequestKind::query, 1)));
  EXPECT_EQ(collector.wait(1).status, BOP_OK);
  EXPECT_EQ(stuck.requests, 2);  // the query and a ping
}

TEST(AClient, waits_for_a_slow_answer_as_long_as_the_server_lives) {
  // Pings are answered; the query never is.
  FakeServer slow([](const proto::ClientRequest& request) {
    return Reaction{request.kind == RequestKind::ping ? Kind::reply : Kind::silence};
  });
  Collector collector;
  Options options;
  options.connect_timeout = 200 * milliseconds;
  const auto client = open({slow.address()}, collector, options);
  ASSERT_TRUE(client->submit(request(RequestKind::query, 1, 1 * seconds)));
  EXPECT_EQ(collector.wait(1).status, BOP_E_TIMEOUT);
  EXPECT_EQ(slow.connections, 1);
}

TEST(AClient, refuses_a_server_of_another_cluster) {
  FakeServer server(echo);
  Collector collector;
  Options options;
  options.cluster = {9, 9};
  const auto client = open({server.address()}, collector, options);
  ASSERT_TRUE(client->submit(request(RequestKind::query, 1, 500 * milliseconds)));
  const auto seen = collector.wait(1);
  EXPECT_EQ(seen.status, BOP_E_UNAVAILABLE);
  EXPECT_NE(seen.detail.find("belongs to cluster 01020300"), std::string::npos) << seen.detail;
}

TEST(AClient, uses_as_many_connections_as_it_was_told) {
  FakeServer server(echo);
  Collector collector;
  Options options;
  options.connections = 4;
  const auto client = open({server.address()}, collector, options);
  for (uint64_t tag = 0; tag < 16; ++tag) {
    Request asked = request(RequestKind::propose, tag);
    asked.connection = static_cast<uint32_t>(tag);
    ASSERT_TRUE(client->submit(asked));
  }
  for (uint64_t tag = 0; tag < 16; ++tag) EXPECT_EQ(collector.wait(tag).status, BOP_OK);
  EXPECT_EQ(server.connections, 4);
}

TEST(AClient, asks_the_endpoint_that_was_meant_for_its_status) {
  FakeServer one(always(reply(BOP_OK, "one"))), two(always(reply(BOP_OK, "two")));
  const net::Address dead = dead_address();
  Collector collector;
  const auto client = open({one.address(), two.address(), dead}, collector);
  for (uint32_t i = 0; i < 3; ++i) {
    Request asked = request(RequestKind::status, i);
    asked.connection = i;
    ASSERT_TRUE(client->submit(asked));
  }
  EXPECT_EQ(collector.wait(0).body, "one");
  EXPECT_EQ(collector.wait(1).body, "two");
  EXPECT_EQ(collector.wait(2).status, BOP_E_UNAVAILABLE);  // at once, not at the deadline
  // The other endpoints, which answered, are not mentioned.
  EXPECT_TRUE(collector.wait(2).detail.starts_with(dead.to_string() + ": "));
  EXPECT_EQ(collector.wait(2).detail.find(one.text()), std::string::npos);
  Request beyond = request(RequestKind::status, 9);
  beyond.connection = 3;
  EXPECT_EQ(client->submit(beyond).error().code, BOP_E_INVALID_ARGUMENT);
}

TEST(AClient, refuses_more_than_its_limit_in_flight) {
  FakeServer server(always({Kind::silence}));
  Collector collector;
  Options options;
  options.max_in_flight = 2;
  auto client = open({server.address()}, collector, options);
  ASSERT_TRUE(client->submit(request(RequestKind::query, 1)));
  ASSERT_TRUE(client->submit(request(RequestKind::query, 2)));
  EXPECT_EQ(client->submit(request(RequestKind::query, 3)).error().code, BOP_E_OVERLOADED);
  client.reset();
  EXPECT_EQ(collector.count(), 2u);
}

TEST(AClient, completes_everything_when_it_is_closed) {
  FakeServer server(always({Kind::silence}));
  Collector collector;
  auto client = open({server.address()}, collector);
  for (uint64_t tag = 0; tag < 10; ++tag) {
    const RequestKind kind = tag % 2 == 0 ? RequestKind::propose : RequestKind::query;
    ASSERT_TRUE(client->submit(request(kind, tag)));
  }
  while (server.requests < 10) std::this_thread::yield();
  client.reset();
  ASSERT_EQ(collector.count(), 10u);
  for (uint64_t tag = 0; tag < 10; ++tag) {
    EXPECT_EQ(collector.wait(tag).status, tag % 2 == 0 ? BOP_E_OUTCOME_UNKNOWN : BOP_E_STOPPED);
  }
}

TEST(AClient, takes_requests_from_within_a_completion) {
  FakeServer server(echo);
  Collector collector;
  std::unique_ptr<Client> client;
  collector.on_complete = [&](const Outcome& outcome) {
    if (outcome.tag < 1000) {
      EXPECT_TRUE(client->submit(request(RequestKind::query, outcome.tag + 1)));
    }
  };
  client = open({server.address()}, collector);
  ASSERT_TRUE(client->submit(request(RequestKind::query, 0)));
  EXPECT_EQ(collector.wait(1000).status, BOP_OK);
}

TEST(AClient, takes_no_request_from_within_a_completion_once_it_closes) {
  FakeServer server(always({Kind::silence}));
  Collector collector;
  Client* client = nullptr;
  std::atomic<int> refused = 0;
  collector.on_complete = [&](const Outcome&) {
    const Status again = client->submit(request(RequestKind::query, 99));
    if (!again && again.error().code == BOP_E_STOPPED) ++refused;
  };
  auto owned = open({server.address()}, collector);
  client = owned.get();
  ASSERT_TRUE(client->submit(request(RequestKind::query, 0)));
  owned.reset();
  EXPECT_EQ(refused, 1);
}

TEST(AClient, comes_back_to_a_server_that_was_restarted) {
  Collector collector;
  uint16_t port = 0;
  std::unique_ptr<Client> client;
  {
    FakeServer server(echo);
    port = server.address().port;
    client = open({server.address()}, collector);
    ASSERT_TRUE(client->submit(request(RequestKind::query, 1)));
    EXPECT_EQ(collector.wait(1).status, BOP_OK);
  }
  ASSERT_TRUE(client->submit(request(RequestKind::query, 2)));
  FakeServer again(echo, port);
  EXPECT_EQ(collector.wait(2).status, BOP_OK);
}

TEST(AClient, refuses_what_cannot_be_sent) {
  Collector collector;
  EXPECT_FALSE(Client::open({}, collector));
  const auto client = open({dead_address()}, collector);
  Request asked = request(RequestKind::query, 1, 0);
  EXPECT_EQ(client->submit(asked).error().code, BOP_E_INVALID_ARGUMENT);
  const std::string huge(9u << 20, 'x');
  asked = request(RequestKind::query, 1);
  asked.payload = as_bytes(huge);
  EXPECT_EQ(client->submit(asked).error().code, BOP_E_TOO_LARGE);
}

TEST(AClient, survives_a_server_that_speaks_another_protocol) {
  struct Ignore final : net::StreamHandler {
    net::Consumed on_bytes(const mem::Buffer& bytes) override { return {bytes.size(), 0}; }
    void on_closed(const Error&) override {}
  } ignore;
  io::Loop loop;
  net::Streams streams(loop);
  std::vector<std::unique_ptr<net::Connection>> connections;
  net::ListenOptions options;
  options.address = {"127.0.0.1", 0, {}};
  auto listening = net::Acceptor::listen(
      loop, options, {{&streams, [&](std::unique_ptr<net::Connection> connection) {
                         connection->start(ignore);
                         connection->append(as_bytes("-ERR this is not the server you seek\r\n"));
                         connections.push_back(std::move(connection));
                       }}});
  ASSERT_TRUE(listening);
  std::thread thread([&] { loop.run(); });
  Collector collector;
  auto client = open({(*listening)->address()}, collector);
  ASSERT_TRUE(client->submit(request(RequestKind::query, 1, 500 * milliseconds)));
  const auto seen = collector.wait(1);
  EXPECT_EQ(seen.status, BOP_E_UNAVAILABLE);
  EXPECT_NE(seen.detail.find("is not a native listener of bop"), std::string::npos) << seen.detail;
  client.reset();
  loop.stop();
  thread.join();
}

}  // namespace
}  // namespace bop::client

#include "serve/resp_connection.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "base/random.h"
#include "harness.h"

namespace bop::serve {
namespace {

using RespClient = Client<RespConnection>;

std::string command(const std::vector<std::string>& arguments) {
  std::string out = "*" + std::to_string(arguments.size()) + "\r\n";
  for (const auto& argument : arguments) {
    out += "$" + std::to_string(argument.size()) + "\r\n" + argument + "\r\n";
  }
  return out;
}

TEST(RespConnection, replies_in_the_order_of_the_commands_whatever_is_answered_first) {
  Harness harness;
  RespClient client(harness);
  client.send("SET a 1\r\nSET b 2\r\nGET c\r\nPING\r\nGET d\r\n");
  ASSERT_EQ(harness.service.waiting(), 4u);
  harness.service.answer(3);
  harness.service.answer(2);
  EXPECT_EQ(client.wire.take(), "");
  harness.service.answer(0);
  EXPECT_EQ(client.wire.take(), "+OK\r\n");
  harness.service.answer(0);
  EXPECT_EQ(client.wire.take(), "+OK\r\n$-1\r\n+PONG\r\n$-1\r\n");
}

TEST(RespConnection, writes_of_one_connection_run_together) {
  Harness harness;
  RespClient client(harness);
  client.send("SET k 1\r\nSET k 2\r\nINCR k\r\nDEL k\r\nMSET k 3 j 4\r\n");
  EXPECT_EQ(harness.service.waiting(), 5u);
}

TEST(RespConnection, a_write_waits_for_the_reads_of_its_key) {
  Harness harness;
  RespClient client(harness);
  client.talk("SET k 1\r\n");
  client.send("GET k\r\nSET k 2\r\nSET k 3\r\nSET other 1\r\n");
  EXPECT_EQ(harness.service.waiting(), 2u);
  harness.settle();
  EXPECT_EQ(client.wire.take(), "$1\r\n1\r\n+OK\r\n+OK\r\n+OK\r\n");
  EXPECT_EQ(client.talk("GET k\r\n"), "$1\r\n3\r\n");
}

TEST(RespConnection, a_read_of_all_keys_waits_for_every_write) {
  Harness harness;
  RespClient client(harness);
  for (const auto* read : {"DBSIZE", "SCAN 0"}) {
    client.send("INCR k\r\n" + std::string(read) + "\r\n");
    EXPECT_EQ(harness.service.waiting(), 1u) << read;
    harness.settle();
  }
}

TEST(RespConnection, a_write_waits_for_a_read_of_all_keys) {
  Harness harness;
  RespClient client(harness);
  client.send("DBSIZE\r\nSET k 1\r\n");
  EXPECT_EQ(harness.service.waiting(), 1u);
  harness.settle();
  EXPECT_EQ(client.wire.take(), ":0\r\n+OK\r\n");
}

// ---- reads that join a write ----

TEST(RespConnection, a_read_joins_the_write_of_its_key_that_was_received_with_it) {
  Harness harness;
  RespClient client(harness);
  client.send(
      "SET k 1\r\nGET k\r\nSTRLEN k\r\nEXISTS k\r\nTYPE k\r\nSET k 22\r\nGET k\r\nDEL k\r\nGET "
      "k\r\n"
      "EXISTS k\r\nMSET a 3 b 4\r\nMGET b a b\r\nGETSET a 5\r\nGET a\r\n");
  EXPECT_EQ(harness.service.waiting(), 5u) << "the writes alone";
  while (harness.service.waiting() > 0) harness.service.answer(0);
  EXPECT_EQ(client.wire.take(),
            "+OK\r\n$1\r\n1\r\n:1\r\n:1\r\n+string\r\n+OK\r\n$2\r\n22\r\n:1\r\n$-1\r\n"
            ":0\r\n+OK\r\n*3\r\n$1\r\n4\r\n$1\r\n3\r\n$1\r\n4\r\n$1\r\n3\r\n$1\r\n5\r\n");
}

TEST(RespConnection,
     a_read_that_was_received_later_does_not_join_a_write_that_may_have_taken_effect) {
  Harness harness;
  RespClient client(harness), other(harness);
  client.send("SET k 1\r\n");
  harness.post.run();  // the end of the turn
  other.send("SET k 2\r\n");
  client.send("GET k\r\n");
  EXPECT_EQ(harness.service.waiting(), 3u) << "it is logged, behind both writes";
  harness.settle();
  EXPECT_EQ(client.wire.take(), "+OK\r\n$1\r\n2\r\n") << "the value of the other client's write";
}

TEST(RespConnection, a_read_joins_a_write_of_the_same_turn_or_whose_bytes_it_came_with) {
  Options options;
  options.max_pipeline = 2;
  Harness harness(options);
  RespClient client(harness);
  client.send("SET k 1\r\n");
  client.send("GET k\r\nSET k 2\r\nGET k\r\n");
  EXPECT_EQ(harness.service.waiting(), 1u);
  harness.service.answer(0);
  EXPECT_EQ(client.wire.take(), "+OK\r\n$1\r\n1\r\n");
  harness.post.run();
  EXPECT_EQ(harness.service.waiting(), 1u);
  harness.service.answer(0);
  EXPECT_EQ(client.wire.take(), "+OK\r\n$1\r\n2\r\n") << "it was there before its write began";
}

TEST(RespConnection, a_read_joins_no_write_whose_outcome_depends_on_the_record_before) {
  for (const auto* write : {"SETNX k 1", "SET k 1 NX", "SET k 1 XX", "INCR k", "APPEND k 1"}) {
    Harness harness;
    RespClient client(harness);
    client.send(std::string(write) + "\r\nGET k\r\n");
    harness.service.answer(0);
    harness.post.run();
    EXPECT_EQ(harness.service.waiting(), 1u) << write;
  }
}

// ---- logged reads ----

TEST(RespConnection, a_read_of_a_key_that_is_being_written_is_logged_between_the_writes) {
  Harness harness;
  RespClient client(harness);
  client.send(
      "INCR k\r\nGET k\r\nINCR k\r\nSTRLEN k\r\nAPPEND k 7\r\nGET k\r\nEXISTS k k\r\nGETDEL k\r\n"
      "SETNX k a\r\nTYPE k\r\nSETNX k b\r\nGET k\r\nGET other\r\n");
  ASSERT_EQ(harness.service.waiting(), 13u);
  for (size_t i = 0; i < 12; ++i) EXPECT_TRUE(harness.service.is_proposal(i)) << i;
  EXPECT_FALSE(harness.service.is_proposal(12)) << "nothing writes this key";
  harness.settle();
  EXPECT_EQ(client.wire.take(),
            ":1\r\n$1\r\n1\r\n:2\r\n:1\r\n:2\r\n$2\r\n27\r\n:2\r\n$2\r\n27\r\n"
            ":1\r\n+string\r\n:0\r\n$1\r\na\r\n$-1\r\n");
}

TEST(RespConnection, a_logged_read_shows_absent_keys_too_and_changes_nothing) {
  Harness harness;
  RespClient client(harness);
  client.send("INCR a\r\nGETDEL a\r\nMGET a b a\r\nINCR c\r\nMGET a c d\r\nEXISTS a c d\r\n");
  EXPECT_EQ(harness.service.waiting(), 6u);
  harness.settle();
  EXPECT_EQ(client.wire.take(),
            ":1\r\n$1\r\n1\r\n*3\r\n$-1\r\n$-1\r\n$-1\r\n:1\r\n"
            "*3\r\n$-1\r\n$1\r\n1\r\n$-1\r\n:1\r\n");
  EXPECT_EQ(harness.service.kv.size(), 1u);
}

TEST(RespConnection, a_read_of_keys_that_different_writes_change_is_no_mixture_of_them) {
  Harness harness;
  RespClient client(harness);
  client.send("SET a 1\r\nSET b 1\r\nMGET a b\r\nSET a 2\r\n");
  ASSERT_EQ(harness.service.waiting(), 4u);
  EXPECT_TRUE(harness.service.is_proposal(2)) << "one index of the log";
  harness.settle();
  EXPECT_EQ(client.wire.take(), "+OK\r\n+OK\r\n*2\r\n$1\r\n1\r\n$1\r\n1\r\n+OK\r\n");
}

TEST(RespConnection, a_logged_read_that_the_log_refuses_is_sent_to_the_machine) {
  Harness harness;
  RespClient client(harness);
  client.talk("SET k 1\r\n");
  client.send("INCR k\r\nGET k\r\n");
  harness.service.answer_with(0, BOP_E_LOG_FULL, "full");
  harness.service.answer_with(0, BOP_E_LOG_FULL, "full");
  EXPECT_EQ(client.wire.take(), "-LOGFULL full\r\n");
  harness.post.run();
  ASSERT_EQ(harness.service.waiting(), 1u);
  EXPECT_FALSE(harness.service.is_proposal(0));
  harness.settle();
  EXPECT_EQ(client.wire.take(), "$1\r\n1\r\n");
}

TEST(RespConnection,
     a_logged_read_that_the_log_refuses_fails_when_a_later_command_changes_its_key) {
  Harness harness;
  RespClient client(harness);
  client.send("INCR k\r\nGET k\r\nINCR k\r\n");
  harness.service.answer(0);
  harness.service.answer_with(0, BOP_E_OUTCOME_UNKNOWN, "lost");
  harness.settle();
  EXPECT_EQ(client.wire.take(), ":1\r\n-UNKNOWNOUTCOME lost\r\n:2\r\n");
}

TEST(RespConnection, replies_to_logged_reads_cost_bounded_memory) {
  Options options;
  options.pause_output_bytes = 10'000;
  options.read_ahead_bytes = 100'000;
  Harness harness(options);
  RespClient client(harness);
  for (int i = 0; i < 100; ++i) client.talk("GET k\r\n");  // small ones: many may be in flight
  std::string pipeline = "SETNX k " + std::string(20'000, 'v') + "\r\n";
  for (int i = 0; i < 50; ++i) pipeline += "GET k\r\nSETNX k v\r\n";
  client.wire.reads = false;
  client.send(pipeline);
  ASSERT_EQ(harness.service.waiting(), 101u);
  harness.settle();
  const std::string replies = client.wire.take();
  EXPECT_LT(replies.size(), 440'000u);
  size_t dropped = 0;
  for (size_t at = 0; (at = replies.find("-OVERLOADED ", at)) != replies.npos; ++at) ++dropped;
  EXPECT_GT(dropped, 25u) << "each by name";
  EXPECT_EQ(std::ranges::count(replies, ':'), 51);
}

TEST(RespConnection, a_dropped_reply_to_a_logged_read_is_read_again_when_nothing_changes_its_key) {
  Options options;
  options.pause_output_bytes = options.read_ahead_bytes = 10'000;
  Harness harness(options);
  RespClient client(harness);
  std::string pipeline = "SETNX k " + std::string(10'000, 'v') + "\r\n";
  for (int i = 0; i < 10; ++i) pipeline += "GET k\r\n";
  client.wire.reads = false;
  client.send(pipeline);
  harness.settle();
  EXPECT_LT(client.wire.sent.size(), 40'000u);
  std::string all;
  while (!client.wire.sent.empty()) {
    all += client.wire.take();
    client.connection().on_drained();
    harness.settle();
  }
  EXPECT_EQ(all.size(), 4 + 10 * (8 + 10'000 + 2u));
}

// ---- writes that fail ----

TEST(RespConnection, a_read_whose_write_failed_is_asked_of_the_machine) {
  Harness harness;
  RespClient client(harness);
  client.talk("SET k old\r\n");
  client.send("SET k new\r\nGET k\r\nSTRLEN k\r\n");
  harness.service.answer_with(0, BOP_E_LOG_FULL, "full");
  EXPECT_EQ(client.wire.take(), "-LOGFULL full\r\n");
  harness.settle();
  EXPECT_EQ(client.wire.take(), "$3\r\nold\r\n:3\r\n");
}

TEST(RespConnection, a_read_whose_write_failed_fails_too_when_a_later_command_changes_its_key) {
  Harness harness;
  RespClient client(harness);
  client.send("SET k 1\r\nGET k\r\nSET k 2\r\nGET k\r\n");
  EXPECT_EQ(harness.service.waiting(), 2u);
  harness.service.answer_with(0, BOP_E_OUTCOME_UNKNOWN, "lost");
  harness.settle();
  EXPECT_EQ(client.wire.take(),
            "-UNKNOWNOUTCOME lost\r\n-UNKNOWNOUTCOME lost\r\n+OK\r\n$1\r\n2\r\n");
}

TEST(RespConnection, a_large_value_is_not_kept_for_reads_to_join_it) {
  Harness harness;
  RespClient client(harness);
  client.send(command({"SET", "k", std::string(100'000, 'v')}) + "GET k\r\n");
  harness.service.answer(0);
  harness.post.run();
  EXPECT_EQ(harness.service.waiting(), 1u);
  harness.settle();
  EXPECT_EQ(client.wire.take().size(), 5 + 100'000 + 11u);
}

TEST(RespConnection, joined_replies_cost_bounded_memory) {
  Options options;
  options.read_ahead_bytes = 100'000;
  Harness harness(options);
  RespClient client(harness);
  std::string pipeline = command({"SET", "k", std::string(30'000, 'v')});
  for (int i = 0; i < 50; ++i) pipeline += "GET k\r\n";
  client.send(pipeline);
  harness.service.answer(0);
  EXPECT_LT(client.wire.take().size(), 100'000u);
  harness.post.run();
  EXPECT_GT(harness.service.waiting(), 0u) << "the others are asked";
}

TEST(RespConnection, starts_no_more_commands_than_it_may_hold) {
  Options options;
  options.max_held_bytes = 10'000;
  Harness harness(options);
  RespClient client(harness);
  std::string pipeline = "GET k\r\n";
  for (int i = 0; i < 50; ++i) pipeline += command({"SET", "k", std::string(1000, 'v')});
  client.send(pipeline + "SET other 1\r\n");
  EXPECT_EQ(harness.service.waiting(), 1u);
  EXPECT_TRUE(client.wire.paused);
  harness.settle();
  EXPECT_EQ(
      client.wire.take(), "$-1\r\n" + [] {
        std::string all;
        for (int i = 0; i < 51; ++i) all += "+OK\r\n";
        return all;
      }());
}

TEST(RespConnection, names_the_outcome_of_a_command_and_keeps_the_connection) {
  const std::vector<std::pair<bop_status, std::string>> cases{
      {BOP_E_OUTCOME_UNKNOWN, "-UNKNOWNOUTCOME "},
      {BOP_E_UNAVAILABLE, "-CLUSTERDOWN "},
      {BOP_E_TIMEOUT, "-CLUSTERDOWN "},
      {BOP_E_OVERLOADED, "-OVERLOADED "},
      {BOP_E_LOG_FULL, "-LOGFULL "},
      {BOP_E_DISK_FULL, "-DISKFULL "},
      {BOP_E_SUSPECT, "-SUSPECT "},
      {BOP_E_LATCHED, "-LATCHED "},
      {BOP_E_MACHINE, "-MACHINE "},
      {BOP_E_TOO_LARGE, "-ERR "},
  };
  Harness harness;
  RespClient client(harness);
  for (const auto& [status, start] : cases) {
    harness.service.refuse_with = status;
    for (const auto* sent :
         {"SET k v\r\n", "GET k\r\n", "INCR n\r\n", "SET k v NX GET\r\n", "SCAN 0\r\n"}) {
      const std::string reply = client.talk(sent);
      EXPECT_TRUE(reply.starts_with(start)) << sent << reply;
      EXPECT_TRUE(reply.ends_with("\r\n"));
    }
    harness.service.refuse_with = BOP_OK;
    EXPECT_EQ(client.talk("PING\r\n"), "+PONG\r\n");
  }
  EXPECT_FALSE(client.wire.finished);
}

TEST(RespConnection, passes_on_the_text_of_an_error) {
  Harness harness;
  RespClient client(harness);
  client.send("SET k v\r\n");
  harness.service.answer_with(0, BOP_E_OUTCOME_UNKNOWN, "the leader was lost");
  EXPECT_EQ(client.wire.take(), "-UNKNOWNOUTCOME the leader was lost\r\n");
}

TEST(RespConnection, names_a_group_that_does_not_exist) {
  Options options;
  options.group = "missing";
  Harness harness(options);
  RespClient client(harness);
  EXPECT_TRUE(client.talk("GET k\r\n").starts_with("-NOGROUP "));
  EXPECT_EQ(client.talk("PING\r\n"), "+PONG\r\n");
}

TEST(RespConnection, refuses_commands_on_data_when_its_group_runs_another_machine_and_names_it) {
  Harness harness;
  harness.service.machine = "ledger";
  RespClient client(harness);
  for (const auto* sent :
       {"SET k v\r\n", "GET k\r\n", "MSET k v\r\n", "SCAN 0\r\n", "DBSIZE\r\n"}) {
    const std::string reply = client.talk(sent);
    EXPECT_TRUE(reply.starts_with("-ERR ")) << reply;
    EXPECT_NE(reply.find("runs the machine ledger"), std::string::npos) << reply;
  }
  EXPECT_EQ(client.talk("PING\r\n"), "+PONG\r\n");
  EXPECT_EQ(harness.service.waiting(), 0u);
}

TEST(RespConnection, refuses_keys_and_values_over_their_limits_and_keeps_the_connection) {
  Harness harness;
  RespClient client(harness);
  const std::string long_key(1025, 'k');
  const std::string long_value((1 << 20) + 1, 'v');
  EXPECT_EQ(client.talk(command({"GET", ""})), "-ERR a key must not be empty\r\n");
  EXPECT_EQ(client.talk(command({"SET", "", "v"})), "-ERR a key must not be empty\r\n");
  EXPECT_EQ(client.talk(command({"SET", long_key, "v"})),
            "-ERR a key of 1025 bytes; the limit is 1024\r\n");
  EXPECT_EQ(client.talk(command({"MSET", "k", "v", long_key, "v"})),
            "-ERR a key of 1025 bytes; the limit is 1024\r\n");
  EXPECT_EQ(client.talk(command({"SET", "k", long_value})),
            "-ERR a value of 1048577 bytes; the limit is 1048576\r\n");
  EXPECT_EQ(client.talk(command({"APPEND", "k", long_value})),
            "-ERR a value of 1048577 bytes; the limit is 1048576\r\n");
  std::vector<std::string> many{"DEL"};
  for (int i = 0; i < 1025; ++i) many.push_back("k" + std::to_string(i));
  EXPECT_EQ(client.talk(command(many)), "-ERR 1025 keys in one command; the limit is 1024\r\n");
  many[0] = "MGET";
  EXPECT_EQ(client.talk(command(many)), "-ERR 1025 keys in one command; the limit is 1024\r\n");
  many.pop_back();
  many.pop_back();
  EXPECT_TRUE(client.talk(command(many)).starts_with("*1023\r\n"));
  EXPECT_EQ(harness.service.kv.size(), 0u);
  EXPECT_EQ(client.talk(command({"SET", std::string(1024, 'k'), std::string(1 << 20, 'v')})),
            "+OK\r\n");
}

TEST(RespConnection, refuses_expiry_by_name) {
  Harness harness;
  RespClient client(harness);
  for (const auto* option : {"EX 10", "px 10", "EXAT 99", "PXAT 99", "EX 10 ex 20"}) {
    EXPECT_EQ(client.talk("SET k v " + std::string(option) + "\r\n"),
              "-ERR expiry is not supported: the options of SET are NX, XX, GET and KEEPTTL\r\n");
  }
  EXPECT_EQ(client.talk("EXISTS k\r\n"), ":0\r\n");
}

TEST(RespConnection, refuses_an_append_that_makes_a_value_too_long_as_redis_does) {
  Harness harness;
  RespClient client(harness);
  client.talk(command({"SET", "k", std::string(1 << 20, 'v')}));
  EXPECT_EQ(client.talk("APPEND k x\r\n"),
            "-ERR string exceeds maximum allowed size (proto-max-bulk-len)\r\n");
}

TEST(RespConnection, stops_reading_while_its_pipeline_is_full) {
  Options options;
  options.max_pipeline = 8;
  Harness harness(options);
  RespClient client(harness);
  std::string pipeline;
  for (int i = 0; i < 100; ++i) pipeline += "SET k" + std::to_string(i) + " v\r\n";
  client.send(pipeline);
  EXPECT_EQ(harness.service.waiting(), 8u);
  EXPECT_TRUE(client.wire.paused);
  harness.settle();
  EXPECT_FALSE(client.wire.paused);
  EXPECT_EQ(client.wire.take().size(), 100 * 5u);
  EXPECT_EQ(harness.service.kv.size(), 100u);
}

TEST(RespConnection, reports_a_protocol_error_behind_a_full_pipeline_after_its_replies) {
  Options options;
  options.max_pipeline = 2;
  Harness harness(options);
  RespClient client(harness);
  client.send("GET a\r\nGET b\r\n*x\r\n");
  harness.settle();
  EXPECT_EQ(client.wire.take(), "$-1\r\n$-1\r\n-ERR Protocol error: invalid multibulk length\r\n");
  EXPECT_TRUE(client.wire.finished);
}

TEST(RespConnection, starts_no_command_while_its_replies_are_not_read) {
  Options options;
  options.pause_output_bytes = 10'000;
  Harness harness(options);
  RespClient client(harness);
  client.talk(command({"SET", "k", std::string(1000, 'v')}));
  client.wire.reads = false;
  std::string pipeline;
  for (int i = 0; i < 1000; ++i) pipeline += "GET k\r\n";
  client.send(pipeline);
  harness.settle();
  EXPECT_FALSE(client.wire.paused) << "the client may be writing all its commands before it reads";
  EXPECT_FALSE(client.wire.expects_progress);
  EXPECT_LT(client.wire.sent.size(), 60'000u);
  std::string all = client.wire.take();
  for (int rounds = 0; rounds < 1000 && all.size() < 1000 * (1000 + 9u); ++rounds) {
    client.connection().on_drained();
    harness.settle();
    all += client.wire.take();
  }
  EXPECT_EQ(all.size(), 1000 * (1000 + 9u));
}

// A client that takes no reply, and one value in the store.
struct NotReading {
  explicit NotReading(const Options& options) : harness(options), client(harness) {
    client.talk(command({"SET", "k", std::string(1000, 'v')}));
    client.wire.reads = false;
  }
  // Sends reads until the server receives no more.
  size_t fill() {
    size_t sent = 0;
    for (; !client.wire.paused && sent < 10'000; ++sent) {
      client.send("GET k\r\n");
      harness.settle();
    }
    return sent;
  }
  Harness harness;
  RespClient client;
};

Options small_budgets() {
  Options options;
  options.pause_output_bytes = 10'000;
  options.read_ahead_bytes = 10'000;
  options.max_input_bytes = 3'000;
  return options;
}

TEST(RespConnection, receives_commands_up_to_its_budget_while_its_client_does_not_read) {
  NotReading slow(small_budgets());
  const size_t sent = slow.fill();
  const size_t cost = 7 + sizeof(mem::Buffer);  // of "GET k" and of what refers to it
  EXPECT_GT(sent, 3'000 / cost);
  EXPECT_LT(sent, 3'000 / cost + 50u);
  EXPECT_TRUE(slow.client.wire.expects_progress);
  // It reads: all is answered, and more may come.
  std::string all = slow.client.wire.take();
  for (int rounds = 0; rounds < 1000 && all.size() < sent * 1009; ++rounds) {
    slow.client.connection().on_drained();
    slow.harness.settle();
    all += slow.client.wire.take();
  }
  EXPECT_EQ(all.size(), sent * 1009);
  EXPECT_FALSE(slow.client.wire.paused);
  EXPECT_FALSE(slow.client.wire.expects_progress);
}

TEST(RespConnection,
     reports_an_error_to_a_client_that_sends_beyond_its_budget_and_reads_nothing_and_closes) {
  NotReading slow(small_budgets());
  slow.fill();
  slow.client.connection().on_stalled();
  EXPECT_FALSE(slow.client.wire.paused) << "what it still writes is received, and dropped";
  EXPECT_FALSE(slow.client.wire.expects_progress);
  slow.client.send("SET late 1\r\n");
  slow.harness.settle();
  std::string all = slow.client.wire.take();
  for (int rounds = 0; rounds < 100 && !slow.client.wire.finished; ++rounds) {
    slow.client.connection().on_drained();
    slow.harness.settle();
    all += slow.client.wire.take();
  }
  EXPECT_TRUE(slow.client.wire.finished);
  EXPECT_NE(all.find("-OVERLOADED "), std::string::npos);
  EXPECT_NE(all.find("limits.input_bytes"), std::string::npos);
  EXPECT_TRUE(all.ends_with("not executed\r\n")) << "the last reply";
  EXPECT_EQ(slow.harness.service.kv.size(), 1u);
}

TEST(RespConnection, executes_what_it_received_before_the_client_stopped_sending) {
  Options options;
  options.max_pipeline = 2;
  Harness harness(options);
  RespClient client(harness);
  client.send("SET a 1\r\nSET b 1\r\nSET c 1\r\nSET d 1\r\n");
  EXPECT_TRUE(client.connection().on_end());
  harness.settle();
  EXPECT_EQ(client.wire.take(), "+OK\r\n+OK\r\n+OK\r\n+OK\r\n");
  EXPECT_TRUE(client.wire.finished);
}

TEST(RespConnection, starts_no_more_reads_than_its_budget_for_their_replies_allows) {
  Options options;
  options.read_ahead_bytes = 1 << 20;
  Harness harness(options);
  RespClient client(harness);
  client.talk(command({"SET", "k", std::string(300'000, 'v')}));
  client.talk("GET k\r\n");
  std::string pipeline;
  for (int i = 0; i < 50; ++i) pipeline += "GET k\r\n";
  client.send(pipeline);
  EXPECT_EQ(harness.service.waiting(), 3u);
  harness.settle();
  EXPECT_EQ(client.wire.take().size(), 50 * (300'000 + 11u));
  // Small replies make room for many again.
  client.talk("SET k v\r\n");
  for (int i = 0; i < 8; ++i) client.talk(pipeline);
  client.send(pipeline);
  EXPECT_EQ(harness.service.waiting(), 50u);
}

TEST(RespConnection,
     reads_whose_replies_turn_out_large_cost_bounded_memory_and_are_all_answered_in_order) {
  for (const bool in_order : {true, false}) {
    Options options;
    options.pause_output_bytes = 10'000;
    options.read_ahead_bytes = 100'000;
    Harness harness(options);
    RespClient client(harness);
    const std::string large(20'000, 'v');
    client.talk(command({"SET", "k", large}));
    for (int i = 0; i < 100; ++i)
      client.talk("GET none\r\n");  // small ones, so that many may be in flight
    client.wire.reads = false;
    std::string pipeline;
    for (int i = 0; i < 50; ++i) pipeline += "GET k\r\n";
    client.send(pipeline + "SET k new\r\nGET k\r\n");
    EXPECT_GT(harness.service.waiting(), 20u) << "few enough to be answered whole prove nothing";
    while (harness.service.waiting() > 0) {
      harness.service.answer(in_order ? 0 : harness.service.waiting() - 1);
    }
    harness.settle();
    EXPECT_LT(client.wire.sent.size(), 150'000u);

    std::string all = client.wire.take();
    for (int rounds = 0; rounds < 1000 && !all.ends_with("$3\r\nnew\r\n"); ++rounds) {
      client.connection().on_drained();
      harness.settle();
      all += client.wire.take();
    }
    std::string expected;
    for (int i = 0; i < 50; ++i) expected += "$20000\r\n" + large + "\r\n";
    EXPECT_TRUE(all == expected + "+OK\r\n$3\r\nnew\r\n") << all.size();
  }
}

TEST(RespConnection, is_destroyed_when_its_client_leaves_while_reads_are_to_be_repeated) {
  Options options;
  options.pause_output_bytes = options.read_ahead_bytes = 10'000;
  Harness harness(options);
  RespClient client(harness);
  client.talk(command({"SET", "k", std::string(15'000, 'v')}));
  client.wire.reads = false;
  client.send("GET k\r\nGET k\r\nGET k\r\nGET k\r\n");
  harness.settle();
  EXPECT_LT(client.wire.sent.size(), 40'000u);
  client.drop();
  harness.settle();
  EXPECT_EQ(harness.connections.count(), 0u);
}

TEST(RespConnection, outlives_its_socket_until_its_requests_are_answered) {
  Harness harness;
  RespClient client(harness);
  client.send("SET a 1\r\nGET b\r\nINFO\r\n");
  const size_t waiting = harness.service.waiting();
  EXPECT_EQ(waiting, 2u);
  client.drop();
  harness.post.run();
  EXPECT_EQ(harness.connections.count(), 1u);
  harness.settle();
  EXPECT_EQ(harness.connections.count(), 0u);
  EXPECT_EQ(client.wire.take(), "");
}

TEST(RespConnection, answers_what_was_sent_before_the_client_stopped_sending) {
  Harness harness;
  RespClient client(harness);
  client.send("SET a 1\r\nGET b\r\nGET unfini");
  EXPECT_TRUE(client.connection().on_end());
  harness.settle();
  EXPECT_EQ(client.wire.take(), "+OK\r\n$-1\r\n");
  EXPECT_TRUE(client.wire.finished);
}

TEST(RespConnection, answers_everything_it_received_when_the_node_stops) {
  Harness harness;
  RespClient client(harness), idle(harness);
  client.send("SET k 1\r\nGET k\r\nSET l 1\r\nGE");
  harness.connections.stop();
  harness.settle();
  EXPECT_EQ(client.wire.take(), "+OK\r\n$1\r\n1\r\n+OK\r\n");
  EXPECT_FALSE(harness.connections.all_ending());
  harness.advance(harness.service.time + stop_grace);
  EXPECT_TRUE(harness.connections.all_ending());
  EXPECT_TRUE(client.wire.finished);
  EXPECT_TRUE(idle.wire.finished);
  EXPECT_EQ(idle.wire.take(), "");
}

TEST(RespConnection, answers_the_next_commands_by_an_error_when_the_node_stops_and_closes) {
  Harness harness;
  RespClient client(harness);
  client.send("SET k 1\r\n");
  harness.service.refuse_with = BOP_E_STOPPED;
  harness.connections.stop();
  harness.settle();
  EXPECT_FALSE(client.wire.finished) << "the client may be sending its next command";
  client.wire.take();
  client.send("SET k 2\r\nGET k\r\nINC");
  harness.settle();
  EXPECT_FALSE(client.wire.finished) << "the client may be sending the rest";
  const std::string refused = "-CLUSTERDOWN " + std::string(bop_error_text(BOP_E_STOPPED)) + "\r\n";
  EXPECT_EQ(client.wire.take(), refused + refused);
  client.send("R k\r\n");
  harness.settle();
  EXPECT_EQ(client.wire.take(), refused);
  EXPECT_TRUE(client.wire.finished);
}

TEST(RespConnection, closes_at_once_when_an_idle_client_stops_sending) {
  Harness harness;
  RespClient client(harness);
  client.talk("PING\r\n");
  EXPECT_FALSE(client.connection().on_end());
}

TEST(RespConnection, quits_after_the_replies_to_earlier_commands) {
  Harness harness;
  RespClient client(harness);
  client.send("SET a 1\r\nQUIT\r\nSET b 2\r\n");
  EXPECT_FALSE(client.wire.finished);
  harness.settle();
  EXPECT_EQ(client.wire.take(), "+OK\r\n+OK\r\n");
  EXPECT_TRUE(client.wire.finished);
  EXPECT_EQ(harness.service.kv.size(), 1u);
}

TEST(RespConnection, an_endless_length_costs_no_memory_and_ends_the_connection) {
  Harness harness;
  RespClient client(harness);
  EXPECT_EQ(client.talk("*2\r\n$3\r\nGET\r\n$9999999999\r\n"),
            "-ERR Protocol error: invalid bulk length\r\n");
  EXPECT_TRUE(client.wire.finished);
  client.send("PING\r\n");
  harness.settle();
  EXPECT_EQ(client.wire.take(), "");
}

// However a pipeline is cut, in whatever order reads are answered beside writes, which the log orders,
// and whatever the limits make wait: each command is answered as if it were sent after the reply before it.
TEST(RespConnection, a_pipeline_gets_the_replies_that_its_commands_get_one_by_one) {
  const std::vector<std::string> verbs{
      "SET K V",      "SET K V",    "GET K",      "GET K",      "GET K",          "MGET K K K",
      "MSET K V K V", "DEL K K",    "INCR K",     "APPEND K V", "STRLEN K",       "EXISTS K K",
      "TYPE K",       "SET K V NX", "GETSET K V", "GETDEL K",   "SET K V XX GET", "DBSIZE",
      "PING",         "SETNX K V",  "SCAN 0"};
  for (uint64_t seed = 0; seed < 400; ++seed) {
    Random random(seed);
    Options options;
    options.max_pipeline = random.chance(1, 2) ? 8 : 64;
    options.pause_output_bytes = random.chance(1, 2) ? 200 : 100'000;
    options.read_ahead_bytes = 400;
    options.max_input_bytes = 100;
    options.max_held_bytes = 64;
    const bop_status refuse_with = random.chance(1, 8) ? BOP_E_LOG_FULL : BOP_OK;
    std::string stream;
    std::string expected;
    {
      Harness harness(options);
      RespClient client(harness);
      harness.service.refuse_with = refuse_with;
      for (int i = 0; i < 60; ++i) {
        std::string sent;
        for (const char c : verbs[random.below(verbs.size())]) {
          if (c == 'K') {
            sent += "k" + std::to_string(random.below(3));
          } else if (c == 'V') {
            sent += std::to_string(random.below(1000));
          } else {
            sent += c;
          }
        }
        stream += sent + "\r\n";
        expected += client.talk(sent + "\r\n");
      }
    }
    Harness harness(options);
    RespClient client(harness);
    harness.service.refuse_with = refuse_with;
    std::string replies;
    std::string_view left = stream;
    const auto answer_one = [&] {
      if (harness.service.waiting() == 0) return;
      size_t position = random.below(harness.service.waiting());
      if (harness.service.is_proposal(position)) {
        for (position = 0; !harness.service.is_proposal(position);) ++position;
      }
      harness.service.answer(position);
    };
    for (int steps = 0; steps < 100'000 && replies.size() < expected.size(); ++steps) {
      if (!left.empty() && !client.wire.paused && random.chance(1, 2)) {
        const auto piece = left.substr(0, 1 + random.below(60));
        client.send(piece);
        left.remove_prefix(piece.size());
      }
      switch (random.below(4)) {
        case 0: harness.post.run(); break;
        case 1: client.wire.reads = random.chance(1, 2); break;
        default: answer_one();
      }
      if (client.wire.reads && !client.wire.sent.empty()) {
        replies += client.wire.take();
        client.connection().on_drained();
      }
    }
    ASSERT_EQ(replies, expected) << "seed " << seed << "\n" << stream;
    harness.settle();
    EXPECT_EQ(client.wire.held_output, 0u) << seed;
    EXPECT_EQ(client.wire.held_input, 0u) << seed;
  }
}

// ---- log lines ----

TEST(RespConnection, limits_the_log_lines_of_bad_clients_and_counts_the_others) {
  Harness harness;
  testing::internal::CaptureStderr();
  for (int i = 0; i < 100; ++i) {
    RespClient client(harness);
    client.talk("*1\r\n\n\x1b[2J\r\n");
  }
  harness.advance(harness.service.time + 60 * seconds);
  const std::string logged = testing::internal::GetCapturedStderr();
  EXPECT_EQ(std::ranges::count(logged, '\n'), 11) << logged;
  EXPECT_NE(logged.find("90 more lines about clients of shard 0 were not logged"),
            std::string::npos)
      << logged;
  EXPECT_EQ(logged.find('\x1b'), std::string::npos);
  EXPECT_NE(logged.find("got '\\n'"), std::string::npos) << logged;
}

// ---- transactions ----

TEST(RespConnection, runs_no_command_of_a_transaction_whose_multi_was_refused) {
  Harness harness;
  RespClient client(harness);
  const std::string refused =
      "-ERR not executed: it follows a MULTI, which is not supported; EXEC, DISCARD or RESET ends "
      "the refused transaction\r\n";
  EXPECT_EQ(client.talk("multi\r\nINCR n\r\nGET n\r\nBOGUS\r\nPING\r\nEXEC\r\n"),
            "-ERR unknown command 'multi', with args beginning with: \r\n" + refused + refused +
                refused + refused +
                "-EXECABORT Transaction discarded because of previous errors.\r\n");
  EXPECT_EQ(client.talk("GET n\r\nINCR n\r\n"), "$-1\r\n:1\r\n") << "the connection goes on";
  EXPECT_EQ(client.talk("MULTI\r\nINCR n\r\nDISCARD\r\nGET n\r\n"),
            "-ERR unknown command 'MULTI', with args beginning with: \r\n" + refused +
                "-ERR DISCARD without MULTI\r\n$1\r\n1\r\n");
  EXPECT_EQ(client.talk("MULTI\r\nINCR n\r\nRESET\r\nGET n\r\n"),
            "-ERR unknown command 'MULTI', with args beginning with: \r\n" + refused +
                "+RESET\r\n$1\r\n1\r\n");
}

TEST(RespConnection, a_client_may_quit_within_a_refused_transaction) {
  Harness harness;
  RespClient client(harness);
  client.talk("MULTI\r\nINCR n\r\n");
  EXPECT_EQ(client.talk("QUIT\r\n"), "+OK\r\n");
  EXPECT_TRUE(client.wire.finished);
  EXPECT_EQ(harness.service.kv.size(), 0u);
}

// ---- scan ----

std::string bulk_at(const std::string& reply, size_t& at) {
  EXPECT_EQ(reply[at], '$');
  const size_t size = std::stoul(reply.substr(at + 1));
  at = reply.find('\n', at) + 1;
  const std::string value = reply.substr(at, size);
  at += size + 2;
  return value;
}

std::pair<std::string, std::vector<std::string>> scan(RespClient& client, const std::string& sent) {
  const std::string reply = client.talk(sent + "\r\n");
  if (!reply.starts_with("*2\r\n")) {
    ADD_FAILURE() << sent << ": " << reply;
    return {"0", {}};
  }
  size_t at = 4;
  const std::string cursor = bulk_at(reply, at);
  const size_t count = std::stoul(reply.substr(at + 1));
  at = reply.find('\n', at) + 1;
  std::vector<std::string> keys;
  for (size_t i = 0; i < count; ++i) keys.push_back(bulk_at(reply, at));
  return {cursor, keys};
}

TEST(Scan, goes_through_all_keys_once_whatever_the_count) {
  Harness harness;
  RespClient client(harness);
  std::set<std::string> expected;
  for (int i = 0; i < 257; ++i) {
    expected.insert("key" + std::to_string(i));
    client.talk("SET key" + std::to_string(i) + " v\r\n");
  }
  for (const int count : {1, 7, 10, 256, 257, 1000, 100'000}) {
    std::set<std::string> seen;
    std::string cursor = "0";
    do {
      const auto [next, keys] = scan(client, "SCAN " + cursor + " COUNT " + std::to_string(count));
      for (const auto& key : keys) EXPECT_TRUE(seen.insert(key).second) << key;
      cursor = next;
    } while (cursor != "0");
    EXPECT_EQ(seen, expected);
  }
}

TEST(Scan, matches_patterns_and_reads_only_what_their_beginning_allows) {
  Harness harness;
  RespClient client(harness);
  client.talk("MSET a:1 x a:2 x b:1 x c x\r\n");
  EXPECT_EQ(scan(client, "SCAN 0 MATCH a:*").second, (std::vector<std::string>{"a:1", "a:2"}));
  EXPECT_EQ(scan(client, "SCAN 0 MATCH *:1").second, (std::vector<std::string>{"a:1", "b:1"}));
  EXPECT_EQ(scan(client, "SCAN 0 MATCH [ac]*").second,
            (std::vector<std::string>{"a:1", "a:2", "c"}));
  const auto [cursor, keys] = scan(client, "SCAN 0 MATCH b* COUNT 1");
  EXPECT_EQ(keys, (std::vector<std::string>{"b:1"}));
  EXPECT_EQ(cursor, "0") << "c is outside of the pattern's range";
}

TEST(Scan, a_pattern_of_the_highest_bytes_has_no_end) {
  Harness harness;
  RespClient client(harness);
  client.talk(command({"SET", "\xff\xff", "v"}));
  EXPECT_EQ(scan(client, "SCAN 0 MATCH \"\\xff*\"").second, (std::vector<std::string>{"\xff\xff"}));
}

TEST(Scan, a_cursor_works_on_other_connections_and_again) {
  Harness harness;
  RespClient one(harness), two(harness);
  one.talk("MSET a 1 b 2 c 3\r\n");
  const auto [cursor, keys] = scan(one, "SCAN 0 COUNT 1");
  EXPECT_EQ(scan(two, "SCAN " + cursor + " COUNT 1").second, (std::vector<std::string>{"b"}));
  EXPECT_EQ(scan(one, "SCAN " + cursor + " COUNT 1").second, (std::vector<std::string>{"b"}));
}

TEST(Scan, names_a_cursor_that_is_unknown_or_expired) {
  Harness harness;
  RespClient client(harness);
  EXPECT_EQ(client.talk("SCAN 42\r\n"),
            "-BADCURSOR cursor 42 is unknown or expired, start again with 0\r\n");
  client.talk("MSET a 1 b 2\r\n");
  const auto [cursor, keys] = scan(client, "SCAN 0 COUNT 1");
  harness.service.time += 601 * seconds;
  EXPECT_TRUE(client.talk("SCAN " + cursor + "\r\n").starts_with("-BADCURSOR "));
}

TEST(ScanCursors, forget_the_oldest_when_they_are_full) {
  ScanCursors cursors(1, 3);
  std::vector<uint64_t> ids;
  for (int i = 0; i < 4; ++i) ids.push_back(cursors.add(i, "key" + std::to_string(i)));
  EXPECT_FALSE(cursors.find(5, ids[0]));
  EXPECT_EQ(cursors.find(5, ids[1]), "key1");
  cursors.add(6, "key4");
  EXPECT_FALSE(cursors.find(7, ids[2])) << "key1 was used since";
  EXPECT_EQ(cursors.find(7, ids[1]), "key1");
  EXPECT_NE(ids[0], 0u);
}

// ---- the connection and the server ----

TEST(RespConnection, replies_to_hello_in_both_versions) {
  Harness harness;
  RespClient client(harness);
  const std::string two = client.talk("HELLO\r\n");
  EXPECT_TRUE(
      two.starts_with("*14\r\n$6\r\nserver\r\n$3\r\nbop\r\n$7\r\nversion\r\n$5\r\n0.1.0\r\n"))
      << two;
  EXPECT_NE(two.find("$5\r\nproto\r\n:2\r\n"), std::string::npos);
  const std::string three = client.talk("HELLO 3 SETNAME me\r\n");
  EXPECT_TRUE(three.starts_with("%7\r\n")) << three;
  EXPECT_NE(three.find("$5\r\nproto\r\n:3\r\n"), std::string::npos);
  EXPECT_EQ(client.talk("CLIENT GETNAME\r\n"), "$2\r\nme\r\n");
}

TEST(RespConnection, replies_in_the_version_in_which_the_command_was_received) {
  Harness harness;
  RespClient client(harness);
  client.send("GET k\r\nHELLO 3\r\nGET k\r\n");
  harness.settle();
  const std::string replies = client.wire.take();
  EXPECT_TRUE(replies.starts_with("$-1\r\n%7\r\n")) << replies;
  EXPECT_TRUE(replies.ends_with("_\r\n")) << replies;
}

TEST(RespConnection, describes_a_client_to_itself) {
  Harness harness;
  RespClient one(harness), two(harness);
  EXPECT_NE(one.talk("CLIENT ID\r\n"), two.talk("CLIENT ID\r\n"));
  EXPECT_EQ(one.talk("CLIENT SETINFO lib-name redis-py\r\n"), "+OK\r\n");
  EXPECT_EQ(one.talk("CLIENT SETINFO LIB-VER 5.0\r\n"), "+OK\r\n");
  EXPECT_EQ(one.talk("CLIENT SETINFO lib-color red\r\n"),
            "-ERR Unrecognized option 'lib-color'\r\n");
  EXPECT_EQ(one.talk("CLIENT SETINFO lib-name \"a b\"\r\n"),
            "-ERR lib-name cannot contain spaces, newlines or special characters.\r\n");
  const std::string info = one.talk("CLIENT INFO\r\n");
  EXPECT_NE(info.find("addr=127.0.0.1:50000"), std::string::npos);
  EXPECT_NE(info.find("lib-name=redis-py lib-ver=5.0"), std::string::npos);
}

TEST(RespConnection, config_get_reports_actual_parameters_only) {
  Harness harness;
  RespClient client(harness);
  EXPECT_EQ(client.talk("CONFIG GET port\r\n"), "*2\r\n$4\r\nport\r\n$4\r\n7101\r\n");
  EXPECT_EQ(client.talk("CONFIG GET DATA* max*\r\n"),
            "*4\r\n$9\r\ndatabases\r\n$1\r\n1\r\n$10\r\nmaxclients\r\n$5\r\n10000\r\n");
  EXPECT_EQ(client.talk("CONFIG GET appendonly\r\n"), "*0\r\n");
  EXPECT_EQ(client.talk("CONFIG SET port 1\r\n"),
            "-ERR unknown subcommand 'SET'. Try CONFIG HELP.\r\n");
}

TEST(RespConnection, counts_and_describes_its_commands) {
  Harness harness;
  RespClient client(harness);
  const size_t count = resp_commands().size();
  EXPECT_EQ(client.talk("COMMAND COUNT\r\n"), ":" + std::to_string(count) + "\r\n");
  EXPECT_TRUE(client.talk("COMMAND\r\n").starts_with("*" + std::to_string(count) + "\r\n*10\r\n"));
  EXPECT_TRUE(
      client.talk("COMMAND DOCS\r\n").starts_with("*" + std::to_string(2 * count) + "\r\n"));
  EXPECT_TRUE(client.talk("COMMAND DOCS get bogus\r\n").starts_with("*2\r\n$3\r\nget\r\n"));
  EXPECT_TRUE(
      client.talk("COMMAND INFO GET\r\n")
          .starts_with(
              "*1\r\n*10\r\n$3\r\nget\r\n:2\r\n*2\r\n+readonly\r\n+fast\r\n:1\r\n:1\r\n:1\r\n"));
}

TEST(RespConnection, lists_its_commands_as_an_array_in_both_versions) {
  Harness harness;
  RespClient client(harness);
  const std::string start = "*" + std::to_string(resp_commands().size()) + "\r\n$6\r\nappend\r\n";
  EXPECT_TRUE(client.talk("COMMAND LIST\r\n").starts_with(start));
  client.talk("HELLO 3\r\n");
  EXPECT_TRUE(client.talk("COMMAND LIST\r\n").starts_with(start));
}

TEST(RespConnection, helps_with_the_supported_subcommands) {
  Harness harness;
  RespClient client(harness);
  EXPECT_EQ(client.talk("CONFIG HELP\r\n"),
            "*5\r\n+CONFIG takes one of these:\r\n+GET <pattern>\r\n"
            "+    The parameters whose names match, with their values.\r\n+HELP\r\n+    This.\r\n");
  const std::string client_help = client.talk("client help\r\n");
  for (const auto* line : {"CLIENT takes", "ID\r", "INFO\r", "GETNAME\r", "SETNAME <name>\r",
                           "SETINFO LIB-NAME|LIB-VER <value>\r", "HELP\r"}) {
    EXPECT_NE(client_help.find("\n+" + std::string(line)), std::string::npos) << line;
  }
  EXPECT_TRUE(client.talk("COMMAND HELP\r\n").starts_with("*15\r\n+COMMAND takes "));
}

TEST(RespConnection, finds_every_command_of_the_table_by_its_name) {
  for (const RespCommand& each : resp_commands()) {
    EXPECT_EQ(find_resp_command(each.name), &each) << each.name;
    std::string upper(each.name);
    for (char& c : upper) c = static_cast<char>(std::toupper(c));
    EXPECT_EQ(find_resp_command(upper), &each) << upper;
  }
  EXPECT_EQ(find_resp_command(""), nullptr);
  EXPECT_EQ(find_resp_command("ge"), nullptr);
  EXPECT_EQ(find_resp_command("gett"), nullptr);
  EXPECT_EQ(find_resp_command(std::string(300, 'g')), nullptr);
}

TEST(RespConnection, info_shows_groups_and_the_sections_asked_for) {
  Harness harness;
  node::GroupStatus group;
  group.name = "kv";
  group.id = 1;
  group.role = "leader";
  group.term = 3;
  harness.service.node_status.groups.push_back(group);
  harness.service.node_status.version = "0.1.0";
  RespClient client(harness);
  const std::string all = client.talk("INFO\r\n");
  EXPECT_NE(all.find("\r\nredis_version:7."), std::string::npos) << all;
  EXPECT_NE(all.find("# Server\r\nbop_version:0.1.0\r\n"), std::string::npos) << all;
  EXPECT_NE(all.find("connected_clients:1\r\n"), std::string::npos);
  EXPECT_NE(all.find("group_kv:id=1,machine=,role=leader,term=3,"), std::string::npos);
  const std::string one = client.talk("info CLIENTS\r\n");
  EXPECT_EQ(one.find("# Server"), std::string::npos);
  EXPECT_NE(one.find("# Clients"), std::string::npos);
  EXPECT_EQ(client.talk("INFO bogus\r\n"), "$0\r\n\r\n");
}

TEST(RespConnection, info_names_the_reason_why_a_group_is_halted) {
  Harness harness;
  node::GroupStatus group;
  group.name = "kv";
  group.halted = BOP_E_SUSPECT;
  group.file = "shard0/1.seg";
  group.offset = 4096;
  group.reason = "a block is damaged";
  harness.service.node_status.groups.push_back(group);
  group = {};
  group.name = "broken";
  group.halted = BOP_E_MACHINE;
  group.reason = "one line,\r\nanother";
  harness.service.node_status.groups.push_back(group);
  RespClient client(harness);
  const std::string info = client.talk("INFO groups\r\n");
  EXPECT_NE(info.find(",health=suspect,file=shard0/1.seg,offset=4096,halted=BOP_E_SUSPECT,"
                      "reason=a block is damaged\r\n"),
            std::string::npos)
      << info;
  EXPECT_NE(info.find(",health=ok,halted=BOP_E_MACHINE,reason=one line,  another\r\n"),
            std::string::npos)
      << info;
}

}  // namespace
}  // namespace bop::serve

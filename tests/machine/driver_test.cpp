#include "machine/driver.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "manual_offload.h"

namespace bop::machine {
namespace {

// What the machine under test does next, and what it saw.
struct Script {
  int32_t open_status = BOP_OK;
  int32_t apply_status = BOP_OK;
  int32_t query_status = BOP_OK;
  int32_t sync_status = BOP_OK;
  int32_t reply_status = BOP_OK;
  bool complete_within_call = false;
  const bop_machine_host* host = nullptr;
  std::vector<uint64_t> applied;
  std::vector<uint64_t> tokens;
  std::vector<std::string> questions;
  uint64_t stable = 0;
  int syncs = 0;
  int closed = 0;
  bop_machine_integrity integrity{};
  std::vector<uint64_t> scrubs;  // bytes
};

}  // namespace
}  // namespace bop::machine

struct bop_machine {
  bop::machine::Script* script;
};

namespace bop::machine {
namespace {

struct ScriptedTable : bop_machine_table {
  Script script;
  bop_machine machine{&script};

  ScriptedTable() : bop_machine_table{} {
    size = sizeof(bop_machine_table);
    abi = BOP_MACHINE_ABI;
    kind = "scripted";
    version = version_min = 7;
    bop_machine_table::open = [](const bop_machine_table* self, const bop_machine_host* host,
                                 const bop_machine_options*, bop_machine** out, char* error,
                                 size_t capacity) -> int32_t {
      auto* table = const_cast<ScriptedTable*>(static_cast<const ScriptedTable*>(self));
      table->script.host = host;
      *out = &table->machine;
      if (table->script.open_status != BOP_OK) std::snprintf(error, capacity, "no such disk");
      return table->script.open_status;
    };
    apply = [](bop_machine* machine, const bop_entry* entries, size_t count, bop_reply* replies,
               uint64_t token) -> int32_t {
      Script& script = *machine->script;
      script.tokens.push_back(token);
      for (size_t i = 0; i < count; ++i) {
        script.applied.push_back(entries[i].index);
        replies[i].status = script.reply_status;
        replies[i].body = entries[i].command;
      }
      if (script.complete_within_call)
        script.host->complete(script.host->context, token, BOP_OK, replies, count);
      return script.apply_status;
    };
    query = [](bop_machine* machine, bop_bytes question, bop_reply* reply,
               uint64_t token) -> int32_t {
      Script& script = *machine->script;
      script.tokens.push_back(token);
      script.questions.emplace_back(reinterpret_cast<const char*>(question.data), question.size);
      reply->status = script.reply_status;
      reply->body = question;
      return script.query_status;
    };
    sync = [](bop_machine* machine, uint64_t token) -> int32_t {
      machine->script->tokens.push_back(token);
      ++machine->script->syncs;
      return machine->script->sync_status;
    };
    applied = [](bop_machine* machine) -> bop_position {
      const auto& indexes = machine->script->applied;
      return {indexes.empty() ? 0 : indexes.back(), 1};
    };
    durable = [](bop_machine*) -> bop_position { return {0, 0}; };
    stable = [](bop_machine* machine, uint64_t index) { machine->script->stable = index; };
    state_hash = [](bop_machine*, bop_state_hash*) -> int32_t { return BOP_E_NOT_FOUND; };
    close = [](bop_machine* machine) { ++machine->script->closed; };
    integrity = [](bop_machine* machine, bop_machine_integrity* out) {
      *out = machine->script->integrity;
    };
    scrub = [](bop_machine* machine, uint64_t bytes, uint64_t token) -> int32_t {
      machine->script->tokens.push_back(token);
      machine->script->scrubs.push_back(bytes);
      return BOP_PENDING;
    };
  }
  // One job, in whose done() the machine finds `status`.
  void find(int32_t status, const char* reason = nullptr) {
    static Script* target = nullptr;
    static int32_t found = BOP_OK;
    static const char* why = nullptr;
    target = &script;
    found = status;
    why = reason;
    script.host->offload(
        script.host->context, BOP_WORK_WRITES, [](void*) {},
        [](void*) {
          target->integrity.status = found;
          target->integrity.reason = why;
        },
        nullptr);
  }
};

struct Events final : DriverEvents {
  std::vector<std::string> replies;
  std::vector<std::pair<uint64_t, int32_t>> answers;
  std::vector<std::string> failures;

  void applied(std::span<const bop_reply> given) override {
    for (const bop_reply& reply : given)
      replies.emplace_back(reinterpret_cast<const char*>(reply.body.data), reply.body.size);
  }
  void answered(uint64_t token, const bop_reply& reply) override {
    answers.emplace_back(token, reply.status);
  }
  void failed(const Error& error) override { failures.push_back(error.to_string()); }
  void verified() override { ++verifications; }
  int verifications = 0;
};

class DriverTest : public testing::Test {
 protected:
  ScriptedTable table_;
  Script& script_ = table_.script;
  ManualOffload offload_;
  Events events_;
  std::unique_ptr<Driver> driver_;
  std::vector<bop_entry> entries_;

  Result<std::unique_ptr<Driver>> open() {
    DriverOptions options;
    options.group = "g";
    options.machine.max_queries = 2;
    return Driver::open(table_, options, offload_, events_);
  }
  void must_open() {
    auto driver = open();
    ASSERT_TRUE(driver) << driver.error().to_string();
    driver_ = std::move(*driver);
  }
  void apply(std::vector<uint64_t> indexes) {
    static const std::string command = "command";
    entries_.clear();
    for (uint64_t index : indexes) {
      bop_entry entry{};
      entry.size = sizeof entry;
      entry.index = index;
      entry.term = 1;
      entry.command = {as_bytes(command).data(), command.size()};
      entries_.push_back(entry);
    }
    driver_->apply(entries_);
  }
  void complete(uint64_t token, int32_t status, std::vector<bop_reply> replies = {}) {
    script_.host->complete(script_.host->context, token, status, replies.data(), replies.size());
  }
  static bop_reply reply(int32_t status = BOP_OK) { return {sizeof(bop_reply), status, {}}; }
};

TEST_F(DriverTest, a_batch_that_the_machine_answers_at_once_is_replied_to_within_the_call) {
  must_open();
  apply({1, 2, 5});
  EXPECT_EQ(events_.replies, (std::vector<std::string>{"command", "command", "command"}));
  EXPECT_FALSE(driver_->applying());
  EXPECT_EQ(driver_->applied().index, 5u);
}

TEST_F(DriverTest, a_pending_batch_is_replied_to_when_the_machine_completes_its_token) {
  must_open();
  script_.apply_status = BOP_PENDING;
  apply({1, 2});
  EXPECT_TRUE(driver_->applying());
  EXPECT_TRUE(events_.replies.empty());
  complete(script_.tokens.back(), BOP_OK, {reply(), reply()});
  EXPECT_EQ(events_.replies.size(), 2u);
  EXPECT_FALSE(driver_->applying());
}

TEST_F(DriverTest, a_machine_that_completes_a_token_twice_is_failed) {
  must_open();
  script_.apply_status = BOP_PENDING;
  apply({1});
  const uint64_t token = script_.tokens.back();
  complete(token, BOP_OK, {reply()});
  complete(token, BOP_OK, {reply()});
  ASSERT_EQ(events_.failures.size(), 1u);
  EXPECT_EQ(events_.replies.size(), 1u);
  EXPECT_TRUE(driver_->has_failed());
}

TEST_F(DriverTest, a_machine_that_completes_with_too_few_replies_is_failed) {
  must_open();
  script_.apply_status = BOP_PENDING;
  apply({1, 2});
  complete(script_.tokens.back(), BOP_OK, {reply()});
  EXPECT_EQ(events_.failures.size(), 1u);
  EXPECT_TRUE(events_.replies.empty());
}

TEST_F(DriverTest, a_machine_that_completes_from_within_a_call_is_failed) {
  must_open();
  script_.complete_within_call = true;
  script_.apply_status = BOP_PENDING;
  apply({1});
  EXPECT_EQ(events_.failures.size(), 1u);
  EXPECT_TRUE(events_.replies.empty());
}

TEST_F(DriverTest, a_status_that_is_not_in_the_list_fails_the_machine) {
  must_open();
  script_.apply_status = -12345;
  apply({1});
  ASSERT_EQ(events_.failures.size(), 1u);
  EXPECT_NE(events_.failures[0].find("-12345"), std::string::npos);
  EXPECT_NE(events_.failures[0].find("BOP_E_MACHINE"), std::string::npos);
}

TEST_F(DriverTest, a_machine_that_fails_is_reported_in_the_words_that_it_logged) {
  must_open();
  script_.host->log(script_.host->context, 3, "kv.mdbx: sync: No space left on device");
  script_.sync_status = BOP_E_DISK_FULL;
  driver_->sync();
  ASSERT_EQ(events_.failures.size(), 1u);
  EXPECT_NE(events_.failures[0].find("sync: kv.mdbx: sync: No space left"), std::string::npos)
      << events_.failures[0];
  EXPECT_EQ(events_.failures[0].find("for the log"), std::string::npos) << events_.failures[0];
}

TEST_F(DriverTest, a_machine_without_a_check_takes_every_command) {
  must_open();
  EXPECT_EQ(driver_->check(as_bytes("anything")), BOP_OK);
}

TEST_F(DriverTest, an_obstacle_is_passed_on_and_a_machine_without_the_function_has_none) {
  must_open();
  EXPECT_EQ(driver_->obstacle(), nullptr);
  table_.obstacle = [](bop_machine*) -> const char* { return "waits for space"; };
  must_open();
  ASSERT_NE(driver_->obstacle(), nullptr);
  EXPECT_EQ(std::string(driver_->obstacle()), "waits for space");
}

TEST_F(DriverTest, a_machine_is_told_of_a_query_that_follows_unless_it_failed) {
  static std::string expected;
  must_open();
  driver_->expect_query(as_bytes("a machine without the function"));
  table_.expect_query = [](bop_machine*, bop_bytes query) {
    expected.assign(reinterpret_cast<const char*>(query.data), query.size);
  };
  must_open();
  driver_->expect_query(as_bytes("later"));
  EXPECT_EQ(expected, "later");
  EXPECT_TRUE(script_.questions.empty());
  script_.apply_status = BOP_E_IO;
  apply({1});
  ASSERT_TRUE(driver_->has_failed());
  driver_->expect_query(as_bytes("after it failed"));
  EXPECT_EQ(expected, "later");
}

TEST_F(DriverTest, a_check_refuses_a_command_by_name_or_fails_the_machine) {
  table_.check = [](bop_machine*, bop_bytes command) -> int32_t {
    return command.size == 4 ? BOP_OK : command.size == 3 ? BOP_E_PROTOCOL : -12345;
  };
  must_open();
  EXPECT_EQ(driver_->check(as_bytes("good")), BOP_OK);
  EXPECT_EQ(driver_->check(as_bytes("bad")), BOP_E_PROTOCOL);
  EXPECT_TRUE(events_.failures.empty());
  EXPECT_EQ(driver_->check(as_bytes("worse")), BOP_E_MACHINE);
  ASSERT_EQ(events_.failures.size(), 1u);
  EXPECT_NE(events_.failures[0].find("-12345"), std::string::npos);
}

TEST_F(DriverTest, a_reply_with_a_status_that_is_not_in_the_list_fails_the_machine) {
  must_open();
  script_.reply_status = 2;
  apply({1});
  EXPECT_EQ(events_.failures.size(), 1u);
  EXPECT_TRUE(events_.replies.empty());
}

TEST_F(DriverTest, pending_is_not_a_valid_reply) {
  must_open();
  script_.reply_status = BOP_PENDING;
  driver_->query(as_bytes("q"), 1);
  EXPECT_EQ(events_.failures.size(), 1u);
  EXPECT_EQ(events_.answers, (std::vector<std::pair<uint64_t, int32_t>>{{1, BOP_E_MACHINE}}));
}

TEST_F(DriverTest, an_error_of_apply_halts_and_answers_every_open_query) {
  must_open();
  script_.query_status = BOP_PENDING;
  driver_->query(as_bytes("q"), 11);
  script_.apply_status = BOP_E_IO;
  apply({1});
  EXPECT_EQ(events_.failures.size(), 1u);
  driver_->query(as_bytes("q"), 12);
  EXPECT_EQ(events_.answers,
            (std::vector<std::pair<uint64_t, int32_t>>{{11, BOP_E_MACHINE}, {12, BOP_E_MACHINE}}));
  // Nothing reaches a failed machine any more.
  const size_t calls = script_.applied.size();
  apply({2});
  EXPECT_EQ(script_.applied.size(), calls);
}

TEST_F(DriverTest, queries_complete_in_any_order_while_an_apply_is_pending) {
  must_open();
  script_.apply_status = BOP_PENDING;
  script_.query_status = BOP_PENDING;
  apply({1});
  driver_->query(as_bytes("a"), 1);
  driver_->query(as_bytes("b"), 2);
  complete(script_.tokens[2], BOP_OK, {reply()});
  complete(script_.tokens[1], BOP_OK, {reply(BOP_E_PROTOCOL)});
  EXPECT_EQ(events_.answers,
            (std::vector<std::pair<uint64_t, int32_t>>{{2, BOP_OK}, {1, BOP_E_PROTOCOL}}));
  EXPECT_TRUE(driver_->applying());
}

TEST_F(DriverTest, queries_beyond_the_bound_are_refused_and_the_machine_does_not_see_them) {
  must_open();
  script_.query_status = BOP_PENDING;
  for (uint64_t token : {1, 2, 3}) driver_->query(as_bytes("q"), token);
  EXPECT_EQ(script_.questions.size(), 2u);
  EXPECT_EQ(events_.answers, (std::vector<std::pair<uint64_t, int32_t>>{{3, BOP_E_OVERLOADED}}));
  complete(script_.tokens[0], BOP_OK, {reply()});
  driver_->query(as_bytes("q"), 4);
  EXPECT_EQ(script_.questions.size(), 3u);
}

TEST_F(DriverTest, an_answered_query_s_token_is_not_taken_for_a_newer_one) {
  must_open();
  script_.query_status = BOP_PENDING;
  driver_->query(as_bytes("q"), 1);
  complete(script_.tokens[0], BOP_OK, {reply()});
  driver_->query(as_bytes("q"), 2);
  complete(script_.tokens[0], BOP_OK, {reply()});
  EXPECT_EQ(events_.failures.size(), 1u);
  EXPECT_EQ(events_.answers,
            (std::vector<std::pair<uint64_t, int32_t>>{{1, BOP_OK}, {2, BOP_E_MACHINE}}));
}

TEST_F(DriverTest, syncs_asked_for_during_a_sync_are_joined_into_one_more) {
  must_open();
  script_.sync_status = BOP_PENDING;
  for (int i = 0; i < 4; ++i) driver_->sync();
  EXPECT_EQ(script_.syncs, 1);
  complete(script_.tokens.back(), BOP_OK);
  EXPECT_EQ(script_.syncs, 2);
  EXPECT_TRUE(driver_->syncing());
  complete(script_.tokens.back(), BOP_OK);
  EXPECT_EQ(script_.syncs, 2);
  EXPECT_FALSE(driver_->syncing());
}

TEST_F(DriverTest, stable_only_rises) {
  must_open();
  driver_->stable(5);
  driver_->stable(3);
  EXPECT_EQ(script_.stable, 5u);
}

TEST_F(DriverTest, open_reports_the_machines_error) {
  script_.open_status = BOP_E_IO;
  const auto driver = open();
  ASSERT_FALSE(driver);
  EXPECT_EQ(driver.error().code, BOP_E_IO);
  EXPECT_NE(driver.error().detail.find("no such disk"), std::string::npos);
  EXPECT_EQ(script_.closed, 0);
}

TEST_F(DriverTest, a_table_of_another_interface_version_is_refused) {
  table_.abi = BOP_MACHINE_ABI + 1;
  EXPECT_EQ(open().error().code, BOP_E_VERSION_MISMATCH);
}

TEST_F(DriverTest, a_table_that_ends_before_a_needed_function_is_refused) {
  table_.bop_machine_table::size = offsetof(bop_machine_table, close);
  const auto driver = open();
  ASSERT_FALSE(driver);
  EXPECT_NE(driver.error().detail.find("has no function close"), std::string::npos);
}

TEST_F(DriverTest, jobs_run_on_their_queue_and_none_after_the_machine_closed) {
  must_open();
  struct Job {
    int worked = 0, done = 0;
  } job;
  const auto offload = [&](bop_work_queue queue) {
    script_.host->offload(
        script_.host->context, queue, [](void* argument) { ++static_cast<Job*>(argument)->worked; },
        [](void* argument) { ++static_cast<Job*>(argument)->done; }, &job);
  };
  offload(BOP_WORK_WRITES);
  offload(BOP_WORK_READS);
  EXPECT_EQ(offload_.waiting(Offload::WorkQueue::reads), 1u);
  EXPECT_TRUE(offload_.step(Offload::WorkQueue::reads));
  EXPECT_EQ(job.worked, 1);
  EXPECT_EQ(job.done, 0);
  driver_.reset();
  EXPECT_EQ(script_.closed, 1);
  offload_.run();
  EXPECT_EQ(job.worked, 1);
  EXPECT_EQ(job.done, 0);
}

TEST_F(DriverTest, a_machine_that_verifies_its_state_is_asked_nothing_until_it_is_done) {
  script_.integrity = {sizeof(bop_machine_integrity), BOP_PENDING, nullptr, 3, 8, 0, 0};
  driver_ = *open();
  EXPECT_FALSE(driver_->verified());
  EXPECT_EQ(driver_->verification().done_bytes, 3u);
  EXPECT_EQ(driver_->verification().total_bytes, 8u);
  driver_->query(as_bytes("early"), 1);
  EXPECT_EQ(events_.answers, (std::vector<std::pair<uint64_t, int32_t>>{{1, BOP_E_UNAVAILABLE}}));
  EXPECT_TRUE(script_.questions.empty());
  EXPECT_FALSE(driver_->scrub(10));
  table_.find(BOP_OK);
  offload_.run();
  EXPECT_TRUE(driver_->verified());
  EXPECT_EQ(events_.verifications, 1);
  driver_->query(as_bytes("late"), 2);
  EXPECT_EQ(events_.answers.back(), (std::pair<uint64_t, int32_t>{2, BOP_OK}));
  EXPECT_TRUE(events_.failures.empty());
}

TEST_F(DriverTest, damage_that_a_job_finds_fails_the_machine_with_its_reason) {
  driver_ = *open();
  EXPECT_TRUE(driver_->verified());
  script_.query_status = BOP_PENDING;
  driver_->query(as_bytes("open"), 1);
  table_.find(BOP_E_DAMAGED, "kv.mdbx at 4096: a page is bad");
  offload_.run();
  ASSERT_EQ(events_.failures.size(), 1u);
  EXPECT_NE(events_.failures[0].find("BOP_E_DAMAGED"), std::string::npos);
  EXPECT_NE(events_.failures[0].find("kv.mdbx at 4096: a page is bad"), std::string::npos);
  driver_->query(as_bytes("later"), 2);
  EXPECT_EQ(events_.answers,
            (std::vector<std::pair<uint64_t, int32_t>>{{1, BOP_E_DAMAGED}, {2, BOP_E_DAMAGED}}));
  EXPECT_FALSE(driver_->scrub(10));
}

TEST_F(DriverTest, scrubs_one_at_a_time) {
  driver_ = *open();
  EXPECT_TRUE(driver_->scrub(10));
  EXPECT_TRUE(driver_->scrub(20));
  EXPECT_EQ(script_.scrubs, (std::vector<uint64_t>{10}));
  script_.host->complete(script_.host->context, script_.tokens.back(), BOP_OK, nullptr, 0);
  EXPECT_TRUE(driver_->scrub(30));
  EXPECT_EQ(script_.scrubs, (std::vector<uint64_t>{10, 30}));
  EXPECT_TRUE(events_.failures.empty());
}

TEST_F(DriverTest, a_table_without_integrity_is_sound_and_scrubs_nothing) {
  table_.integrity = nullptr;
  table_.scrub = nullptr;
  driver_ = *open();
  EXPECT_TRUE(driver_->verified());
  EXPECT_FALSE(driver_->scrub(10));
}

}  // namespace
}  // namespace bop::machine

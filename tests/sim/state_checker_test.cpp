#include "sim/state_checker.h"

#include <gtest/gtest.h>

#include <memory>
#include <vector>

namespace bop::sim {
namespace {

constexpr GroupId group = 1;

// A Core on a disk that is done at once. Alone in its group it elects itself and commits what it is
// given.
class Alone {
 public:
  Alone(NodeId self, const raft::Restored& restored, std::vector<NodeId> voters = {}) {
    raft::Config settings;
    settings.self = self;
    raft::Restored own = restored;
    own.configuration.voters = voters.empty() ? std::vector{self} : voters;
    core_ = std::make_unique<raft::Core>(settings, own, 0);
  }

  void lead() {
    now_ += 10 * seconds;
    step({});
  }
  void propose(const char* text) {
    raft::Propose propose;
    propose.payload = mem::Buffer::copy(as_bytes(text));
    step({propose});
  }
  const raft::Core& core() const { return *core_; }
  void step(std::vector<raft::Event> events) {
    do {
      core_->step(now_, 0, events, update_);
      events.clear();
      if (update_.mark.number != 0) events.push_back(raft::Persisted{update_.mark});
    } while (!events.empty());
  }

 private:
  std::unique_ptr<raft::Core> core_;
  raft::Update update_;
  Instant now_ = 0;
};

raft::Restored log_of(std::vector<raft::TermRun> runs, Index last, Index commit = 0) {
  raft::Restored restored;
  restored.hard.term = runs.empty() ? 0 : runs.back().term;
  restored.runs = std::move(runs);
  restored.last = last;
  restored.commit = commit;
  return restored;
}

struct WitnessOf : testing::Test {
  Scheduler scheduler{1};
  StateChecker checker{scheduler};

  void begin(NodeId node, const Alone& alone) { checker.began(node, group, alone.core()); }
  void observe(NodeId node, const Alone& alone) { checker.observe(node, group, alone.core()); }
  void expect_good() { EXPECT_FALSE(checker.violation()) << *checker.violation(); }
  void expect_violation(const std::string& of) {
    ASSERT_TRUE(checker.violation());
    EXPECT_NE(checker.violation()->find(of), std::string::npos) << *checker.violation();
  }
};

using WitnessOfElections = WitnessOf;
using WitnessOfLogs = WitnessOf;
using WitnessOfRestarts = WitnessOf;
using WitnessOfMachines = WitnessOf;

TEST_F(WitnessOfElections, has_nothing_to_say_of_one_leader) {
  Alone one(1, {});
  begin(1, one);
  one.lead();
  observe(1, one);
  one.propose("a");
  observe(1, one);
  observe(1, one);
  expect_good();
  EXPECT_EQ(checker.counters().elections, 1u);
  EXPECT_GE(checker.committed(group), 2u);
}

TEST_F(WitnessOfElections, sees_two_leaders_of_one_term) {
  Alone one(1, {});
  Alone two(2, {});
  begin(1, one);
  begin(2, two);
  one.lead();
  two.lead();
  ASSERT_EQ(one.core().term(), two.core().term());
  observe(1, one);
  observe(2, two);
  expect_violation("election safety");
}

TEST_F(WitnessOfElections, sees_a_leader_without_a_committed_entry) {
  Alone one(1, {});
  begin(1, one);
  one.lead();
  one.propose("a");
  observe(1, one);
  Alone two(2, log_of({{1, 5}}, 1));
  begin(2, two);
  two.lead();
  observe(2, two);
  expect_violation("leader completeness");
}

// What a follower takes from its leader, node 1.
void give(Alone& follower, NodeId self, std::vector<raft::Entry> entries, raft::EntryId before) {
  raft::Message message;
  message.kind = raft::MessageKind::append_request;
  message.from = 1;
  message.to = self;
  message.term = entries.back().term;
  message.log_term = before.term;
  message.index = before.index;
  message.entries = entries;
  follower.step({raft::Receive{message}});
}

raft::Entry entry(Term term, Index index, const char* payload) {
  raft::Entry entry;
  entry.term = term;
  entry.index = index;
  entry.kind = raft::EntryKind::command;
  entry.payload = mem::Buffer::copy(as_bytes(payload));
  return entry;
}

TEST_F(WitnessOfLogs, is_content_with_equal_entries) {
  Alone two(2, {}, {1, 2, 3});
  Alone three(3, {}, {1, 2, 3});
  for (Alone* follower : {&two, &three}) {
    const NodeId node = follower == &two ? 2 : 3;
    begin(node, *follower);
    give(*follower, node, {entry(1, 1, "a"), entry(1, 2, "b")}, {});
    observe(node, *follower);
    ASSERT_EQ(follower->core().last(), 2u);
  }
  expect_good();
  EXPECT_EQ(checker.counters().entries, 2u);
}

TEST_F(WitnessOfLogs, sees_two_contents_of_one_entry) {
  Alone two(2, {}, {1, 2, 3});
  Alone three(3, {}, {1, 2, 3});
  begin(2, two);
  begin(3, three);
  give(two, 2, {entry(1, 1, "a")}, {});
  give(three, 3, {entry(1, 1, "b")}, {});
  observe(2, two);
  observe(3, three);
  expect_violation("log matching");
}

TEST_F(WitnessOfLogs, sees_two_entries_before_one) {
  Alone two(2, {}, {1, 2, 3});
  Alone three(3, {}, {1, 2, 3});
  begin(2, two);
  begin(3, three);
  give(two, 2, {entry(1, 1, "a"), entry(3, 2, "b")}, {});
  give(three, 3, {entry(2, 1, "a"), entry(3, 2, "b")}, {});
  observe(2, two);
  observe(3, three);
  expect_violation("another entry before");
}

TEST_F(WitnessOfLogs, sees_different_entries_committed_at_one_index) {
  Alone one(1, log_of({{1, 1}}, 3, 3));
  Alone two(2, log_of({{1, 1}, {3, 2}}, 3, 3));
  begin(1, one);
  begin(2, two);
  expect_violation("state machine safety");
}

TEST_F(WitnessOfRestarts, is_content_when_what_was_durable_is_there) {
  Alone before(1, log_of({{1, 1}}, 10));
  begin(1, before);
  checker.ended(1, group);
  Alone after(1, log_of({{1, 1}}, 12));
  begin(1, after);
  expect_good();
}

TEST_F(WitnessOfRestarts, sees_that_durable_entries_are_gone) {
  Alone before(1, log_of({{1, 1}}, 10));
  begin(1, before);
  checker.ended(1, group);
  Alone after(1, log_of({{1, 1}}, 9));
  begin(1, after);
  expect_violation("durability");
}

TEST_F(WitnessOfRestarts, allows_that_a_later_term_replaced_them) {
  Alone before(1, log_of({{1, 1}}, 10));
  begin(1, before);
  checker.ended(1, group);
  Alone after(1, log_of({{1, 1}, {5, 2}}, 6));
  begin(1, after);
  expect_good();
}

// ---- machines ----

std::vector<uint8_t> put_command(const char* value) {
  std::vector<uint8_t> command;
  Writer writer(command);
  writer.u8(BOP_KV_VERSION);
  writer.u8(0);
  writer.u16(1);
  writer.u8(BOP_KV_PUT);
  writer.u8(0);
  writer.u16(1);
  writer.u32(1);
  writer.bytes(as_bytes("k"));
  writer.bytes(as_bytes(value));
  return command;
}

bop_entry entry_at(Index index, const std::vector<uint8_t>& command) {
  bop_entry entry{};
  entry.size = sizeof entry;
  entry.index = index;
  entry.term = 1;
  entry.command = {command.data(), command.size()};
  return entry;
}

struct WitnessAtDoors : WitnessOf {
  void SetUp() override {
    for (const NodeId node : {1, 2}) checker.machine_opened(node, group, 0);
  }
  const std::vector<uint8_t> a = put_command("a");
  const std::vector<uint8_t> b = put_command("b");
};

TEST_F(WitnessAtDoors, is_content_with_the_same_commands_in_order) {
  for (const NodeId node : {1, 2}) {
    checker.machine_applies(node, group, entry_at(2, a));
    checker.machine_applies(node, group, entry_at(5, b));
  }
  expect_good();
  EXPECT_EQ(checker.contents(group).at("k"), (KvModel::Record{"b", 5}));
}

TEST_F(WitnessAtDoors, sees_another_command_at_an_index) {
  checker.machine_applies(1, group, entry_at(2, a));
  checker.machine_applies(2, group, entry_at(2, b));
  expect_violation("another command");
}

TEST_F(WitnessAtDoors, sees_another_time_at_an_index) {
  checker.machine_applies(1, group, entry_at(2, a));
  bop_entry entry = entry_at(2, a);
  entry.time_ns = 1;
  checker.machine_applies(2, group, entry);
  expect_violation("another command");
}

TEST_F(WitnessAtDoors, sees_a_command_left_out) {
  checker.machine_applies(1, group, entry_at(2, a));
  checker.machine_applies(1, group, entry_at(3, a));
  checker.machine_applies(2, group, entry_at(3, a));
  expect_violation("not handed the command at 2");
}

TEST_F(WitnessAtDoors, sees_a_command_that_others_left_out) {
  checker.machine_applies(1, group, entry_at(3, a));
  checker.machine_applies(2, group, entry_at(2, a));
  expect_violation("not handed the command at 2");
}

TEST_F(WitnessAtDoors, sees_a_command_handed_twice) {
  checker.machine_applies(1, group, entry_at(2, a));
  checker.machine_applies(1, group, entry_at(2, a));
  expect_violation("is handed 2 after 2");
}

TEST_F(WitnessAtDoors, sees_different_states_at_an_index) {
  checker.machine_hashed(1, group, {4096, 1, 2});
  checker.machine_hashed(2, group, {4096, 1, 2});
  expect_good();
  checker.machine_hashed(2, group, {4096, 1, 3});
  expect_violation("another state");
}

TEST_F(WitnessAtDoors, sees_an_answer_that_is_not_the_models) {
  checker.machine_applies(1, group, entry_at(2, a));
  bop_reply reply{};
  reply.status = BOP_E_CONDITION_FAILED;
  checker.machine_replied(1, group, 2, reply);
  expect_violation("model");
}

TEST_F(WitnessAtDoors, sees_a_machine_that_lost_what_it_called_durable) {
  checker.machine_applies(1, group, entry_at(2, a));
  checker.machine_durable(1, group, 2);
  checker.machine_opened(1, group, 1);
  expect_violation("had called 2 durable");
}

TEST_F(WitnessAtDoors, sees_a_machine_that_made_permanent_what_its_log_may_lose) {
  checker.machine_applies(1, group, entry_at(2, a));
  checker.machine_opened(1, group, 2);
  expect_violation("made 2 permanent");
}

TEST_F(WitnessAtDoors, sees_an_acknowledgement_of_what_was_not_committed) {
  checker.machine_applies(1, group, entry_at(2, a));
  checker.acknowledged(group, 2, hash_of_command(a));
  expect_good();
  checker.acknowledged(group, 2, hash_of_command(b));
  expect_violation("acknowledgement");
}

TEST_F(WitnessAtDoors, sees_an_acknowledgement_of_nothing) {
  checker.acknowledged(group, 7, hash_of_command(a));
  expect_violation("acknowledgement");
}

}  // namespace
}  // namespace bop::sim

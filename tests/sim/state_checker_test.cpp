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
    own.configuration.configuration.voters = voters.empty() ? std::vector{self} : voters;
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

struct StateCheckerTest : testing::Test {
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

using ElectionChecks = StateCheckerTest;
using LogChecks = StateCheckerTest;
using RestartChecks = StateCheckerTest;
using CommitChecks = StateCheckerTest;
using PromiseChecks = StateCheckerTest;

TEST_F(ElectionChecks, accept_one_leader) {
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

TEST_F(ElectionChecks, report_two_leaders_of_one_term) {
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

TEST_F(ElectionChecks, report_a_leader_without_a_committed_entry) {
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

TEST_F(LogChecks, accept_equal_entries) {
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

TEST_F(ElectionChecks, report_a_follower_of_another_than_the_leader_of_its_term) {
  Alone three(3, {});
  begin(3, three);
  three.lead();
  observe(3, three);
  Alone follower(2, {}, {1, 2, 3});
  begin(2, follower);
  raft::Message heartbeat;
  heartbeat.kind = raft::MessageKind::append_request;
  heartbeat.from = 1;
  heartbeat.to = 2;
  heartbeat.term = three.core().term();
  follower.step({raft::Receive{heartbeat}});
  ASSERT_EQ(follower.core().leader(), 1u);
  observe(2, follower);
  expect_violation("election safety: node 2, group 1 follows node 1 in term 1");
}

TEST_F(LogChecks, report_two_contents_of_one_entry) {
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

TEST_F(LogChecks, report_two_entries_before_one) {
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

TEST_F(LogChecks, report_different_entries_committed_at_one_index) {
  Alone one(1, log_of({{1, 1}}, 3, 3));
  Alone two(2, log_of({{1, 1}, {3, 2}}, 3, 3));
  begin(1, one);
  begin(2, two);
  expect_violation("state machine safety");
}

TEST_F(RestartChecks, accept_that_what_was_durable_is_there) {
  Alone before(1, log_of({{1, 1}}, 10));
  begin(1, before);
  checker.ended(1, group);
  Alone after(1, log_of({{1, 1}}, 12));
  begin(1, after);
  expect_good();
}

TEST_F(RestartChecks, report_that_durable_entries_are_gone) {
  Alone before(1, log_of({{1, 1}}, 10));
  begin(1, before);
  checker.ended(1, group);
  Alone after(1, log_of({{1, 1}}, 9));
  begin(1, after);
  expect_violation("durability");
}

TEST_F(RestartChecks, accept_that_a_later_term_replaced_them) {
  Alone before(1, log_of({{1, 1}}, 10));
  begin(1, before);
  checker.ended(1, group);
  Alone after(1, log_of({{1, 1}, {5, 2}}, 6));
  begin(1, after);
  expect_good();
}

raft::Message reply(raft::MessageKind kind, NodeId from, NodeId to, Term term, Index match = 0) {
  raft::Message message;
  message.kind = kind;
  message.from = from;
  message.to = to;
  message.term = term;
  message.match = match;
  message.ok = true;
  return message;
}

// ---- commit ----

// One of three voters, which leads in term 2 once the others voted for it.
struct Leader : Alone {
  explicit Leader(const raft::Restored& restored) : Alone(1, restored, {1, 2, 3}) {
    lead();
    answer(raft::MessageKind::pre_vote_reply, core().term() + 1, {});
    answer(raft::MessageKind::vote_reply, core().term(), {});
  }
  // Node 2 has the log up to `match`.
  void acknowledge(Index match) { answer(raft::MessageKind::append_reply, core().term(), match); }

 private:
  void answer(raft::MessageKind kind, Term term, Index match) {
    raft::Message message;
    message.kind = kind;
    message.from = 2;
    message.to = 1;
    message.term = term;
    message.ok = true;
    message.index = message.match = match;
    step({raft::Receive{message}});
  }
};

// Tells the checker of the votes that made it leader.
void elect(StateChecker& checker, const Leader& leader) {
  const Term term = leader.core().term();
  checker.sent(group, reply(raft::MessageKind::vote_request, 1, 2, term));
  checker.sent(group, reply(raft::MessageKind::vote_reply, 2, 1, term));
}

TEST_F(ElectionChecks, report_a_leader_whom_no_majority_voted_for) {
  Leader leader(log_of({{1, 1}}, 3));
  checker.sent(group, reply(raft::MessageKind::vote_request, 1, 2, leader.core().term()));
  begin(1, leader);
  expect_violation("election safety: node 1, group 1 leads term 2 by the votes of 1 of 3 voters");
}

TEST_F(CommitChecks, accept_what_a_majority_has_durably) {
  Leader leader(log_of({{1, 1}}, 3));
  ASSERT_EQ(leader.core().role(), raft::Role::leader);
  Alone follower(2, log_of({{1, 1}, {4, 2}}, 4), {1, 2, 3});
  begin(2, follower);
  elect(checker, leader);
  begin(1, leader);
  observe(1, leader);
  leader.acknowledge(4);
  ASSERT_EQ(leader.core().commit(), 4u);
  observe(1, leader);
  expect_good();
}

TEST_F(CommitChecks, report_what_only_the_leader_has_durably) {
  Leader leader(log_of({{1, 1}}, 3));
  Alone follower(2, log_of({{1, 1}}, 3), {1, 2, 3});
  begin(2, follower);
  elect(checker, leader);
  begin(1, leader);
  observe(1, leader);
  leader.acknowledge(4);  // of an entry that it has not
  observe(1, leader);
  expect_violation("which 1 of 3 voters have durably");
}

TEST_F(CommitChecks, report_a_follower_that_is_ahead_of_every_leader) {
  Alone follower(2, {}, {1, 2, 3});
  begin(2, follower);
  raft::Message message;
  message.kind = raft::MessageKind::append_request;
  message.from = 1;
  message.to = 2;
  message.term = 1;
  message.commit = 1;
  const std::vector<raft::Entry> entries{entry(1, 1, "a")};
  message.entries = entries;
  follower.step({raft::Receive{message}});
  ASSERT_EQ(follower.core().commit(), 1u);
  observe(2, follower);
  expect_violation("no leader did beyond 0");
}

// ---- promises ----

TEST_F(PromiseChecks, report_two_votes_in_a_term) {
  checker.sent(group, reply(raft::MessageKind::vote_reply, 2, 1, 5));
  checker.sent(group, reply(raft::MessageKind::vote_reply, 2, 1, 5));
  expect_good();
  checker.sent(group, reply(raft::MessageKind::vote_reply, 2, 3, 5));
  expect_violation("votes for node 3 in term 5, in which it voted for node 1");
}

TEST_F(PromiseChecks, report_a_vote_that_is_not_durable) {
  Alone two(2, log_of({{1, 4}}, 1), {1, 2, 3});
  begin(2, two);
  checker.sent(group, reply(raft::MessageKind::vote_reply, 2, 1, 5));
  observe(2, two);
  expect_violation("tells peers of term 5");
}

TEST_F(PromiseChecks, report_a_vote_that_a_restart_forgot) {
  raft::Restored restored = log_of({{1, 4}}, 1);
  restored.hard = {5, 1};
  Alone before(2, restored, {1, 2, 3});
  begin(2, before);
  checker.sent(group, reply(raft::MessageKind::vote_reply, 2, 1, 5));
  observe(2, before);
  checker.ended(2, group);
  expect_good();
  restored.hard = {5, 0};
  Alone after(2, restored, {1, 2, 3});
  begin(2, after);
  expect_violation("after its restart it has voted for nobody");
}

TEST_F(PromiseChecks, report_an_acknowledgement_beyond_what_is_durable) {
  Alone two(2, log_of({{1, 4}}, 7), {1, 2, 3});
  begin(2, two);
  checker.sent(group, reply(raft::MessageKind::append_reply, 2, 1, 4, 7));
  observe(2, two);
  expect_good();
  checker.sent(group, reply(raft::MessageKind::append_reply, 2, 1, 4, 8));
  observe(2, two);
  expect_violation("acknowledges entries up to 8, its log is durable up to 7");
}

TEST_F(PromiseChecks, report_a_machine_that_may_make_permanent_too_much) {
  Alone two(2, log_of({{1, 4}}, 7, 5), {1, 2, 3});
  begin(2, two);
  checker.machine_stable(2, group, 5);
  observe(2, two);
  expect_good();
  checker.machine_stable(2, group, 6);
  observe(2, two);
  expect_violation("lets its machine make permanent what is up to 6");
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

struct MachineChecks : StateCheckerTest {
  void SetUp() override {
    for (const NodeId node : {1, 2}) checker.machine_opened(node, group, 0);
    for (const auto& command : {a, a, b}) checker.proposed(group, hash_of_command(command));
  }
  const std::vector<uint8_t> a = put_command("a");
  const std::vector<uint8_t> b = put_command("b");
};

TEST_F(MachineChecks, accept_the_same_commands_in_order) {
  for (const NodeId node : {1, 2}) {
    checker.machine_applies(node, group, entry_at(2, a));
    checker.machine_applies(node, group, entry_at(5, b));
  }
  expect_good();
  EXPECT_EQ(checker.contents(group).at("k"), (KvModel::Record{"b", 5}));
}

TEST_F(MachineChecks, report_another_command_at_an_index) {
  checker.machine_applies(1, group, entry_at(2, a));
  checker.machine_applies(2, group, entry_at(2, b));
  expect_violation("another command");
}

TEST_F(MachineChecks, report_another_time_at_an_index) {
  checker.machine_applies(1, group, entry_at(2, a));
  bop_entry entry = entry_at(2, a);
  entry.time_ns = 1;
  checker.machine_applies(2, group, entry);
  expect_violation("another command");
}

TEST_F(MachineChecks, report_a_command_left_out) {
  checker.machine_applies(1, group, entry_at(2, a));
  checker.machine_applies(1, group, entry_at(3, a));
  checker.machine_applies(2, group, entry_at(3, a));
  expect_violation("not handed the command at 2");
}

TEST_F(MachineChecks, report_a_command_that_others_left_out) {
  checker.machine_applies(1, group, entry_at(3, a));
  checker.machine_applies(2, group, entry_at(2, a));
  expect_violation("not handed the command at 2");
}

TEST_F(MachineChecks, report_a_command_handed_twice) {
  checker.machine_applies(1, group, entry_at(2, a));
  checker.machine_applies(1, group, entry_at(2, a));
  expect_violation("is handed 2 after 2");
}

TEST_F(MachineChecks, report_different_states_at_an_index) {
  checker.machine_hashed(1, group, {4096, 1, 2});
  checker.machine_hashed(2, group, {4096, 1, 2});
  expect_good();
  checker.machine_hashed(2, group, {4096, 1, 3});
  expect_violation("another state");
}

TEST_F(MachineChecks, report_an_answer_that_is_not_the_models) {
  checker.machine_applies(1, group, entry_at(2, a));
  bop_reply reply{};
  reply.status = BOP_E_CONDITION_FAILED;
  checker.machine_replied(1, group, 2, reply);
  expect_violation("model");
}

TEST_F(MachineChecks, report_a_machine_that_lost_what_it_called_durable) {
  checker.machine_applies(1, group, entry_at(2, a));
  checker.machine_durable(1, group, 2);
  checker.machine_opened(1, group, 1);
  expect_violation("had called 2 durable");
}

TEST_F(MachineChecks, report_a_machine_that_made_permanent_what_its_log_may_lose) {
  checker.machine_applies(1, group, entry_at(2, a));
  checker.machine_opened(1, group, 2);
  expect_violation("made 2 permanent");
}

TEST_F(MachineChecks, report_an_acknowledgement_of_what_was_not_committed) {
  checker.machine_applies(1, group, entry_at(2, a));
  checker.acknowledged(group, 2, hash_of_command(a));
  expect_good();
  checker.acknowledged(group, 2, hash_of_command(b));
  expect_violation("acknowledgement");
}

TEST_F(MachineChecks, report_a_command_that_is_executed_twice) {
  checker.machine_applies(1, group, entry_at(2, b));
  expect_good();
  checker.machine_applies(1, group, entry_at(3, b));
  expect_violation("at most once");
}

TEST_F(MachineChecks, report_a_command_that_was_refused_and_is_executed) {
  checker.refused(group, hash_of_command(b));
  expect_good();
  checker.machine_applies(1, group, entry_at(2, b));
  expect_violation("at most once");
}

TEST_F(MachineChecks, report_a_log_on_the_disk_without_a_checkpoint_that_its_store_has_reached) {
  checker.machine_applies(1, group, entry_at(25, a));
  checker.recovered(1, group, 10, {10, 20, 30});
  checker.recovered(1, group, 20, {20, 30});
  expect_good();
  checker.recovered(1, group, 21, {20, 30});
  expect_violation("checkpoint");
}

TEST_F(MachineChecks, report_a_log_on_the_disk_whose_checkpoints_are_all_too_new) {
  checker.machine_applies(1, group, entry_at(25, a));
  checker.recovered(1, group, 0, {26});
  expect_violation("checkpoint");
}

TEST_F(MachineChecks, report_a_log_that_is_compacted_above_what_recovery_needs) {
  checker.compacted(1, group, 21, 20, 25);
  checker.compacted(1, group, 21, 20, 20);
  expect_good();
  checker.compacted(1, group, 22, 20, 25);
  expect_violation("checkpoint");
}

TEST_F(MachineChecks, report_an_answer_from_before_the_read) {
  checker.machine_applies(1, group, entry_at(2, a));
  checker.read_answered(1, group, 2, 2);
  expect_good();
  checker.read_answered(2, group, 2, 0);
  expect_violation("read: node 2");
}

TEST_F(MachineChecks, report_an_answer_from_a_state_that_the_machine_did_not_reach) {
  checker.machine_applies(1, group, entry_at(2, a));
  checker.read_answered(1, group, 2, 3);
  expect_violation("handed entries up to 2");
}

TEST_F(MachineChecks, report_a_read_that_shows_two_states) {
  checker.machine_applies(1, group, entry_at(2, a));
  checker.machine_applies(1, group, entry_at(5, b));
  checker.read_shows(1, group, 1, "k", {});
  checker.read_shows(1, group, 4, "k", KvModel::version(2, as_bytes("a")));
  checker.read_shows(1, group, 5, "k", KvModel::version(5, as_bytes("b")));
  expect_good();
  checker.read_shows(1, group, 4, "k", KvModel::version(5, as_bytes("b")));
  expect_violation("state at 4 with revision 5 of key k, which had revision 2");
}

TEST_F(MachineChecks, report_a_read_of_another_value) {
  checker.machine_applies(1, group, entry_at(2, a));
  checker.read_shows(1, group, 2, "k", KvModel::version(2, as_bytes("b")));
  expect_violation("another value");
}

TEST_F(MachineChecks, report_an_acknowledgement_of_nothing) {
  checker.acknowledged(group, 7, hash_of_command(a));
  expect_violation("acknowledgement");
}

}  // namespace
}  // namespace bop::sim

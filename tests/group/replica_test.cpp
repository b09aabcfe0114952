// One replica with a log, peers and a machine that the test controls step by step.
#include "group/replica.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace bop::group {
namespace {

using raft::Entry;
using raft::EntryKind;

class Clock final : public port::Clock {
 public:
  Instant now() const override { return now_ns; }
  int64_t wall_ns() const override { return now_ns; }
  Instant now_ns = 1 * seconds;
};

class Timers final : public port::Timers {
 public:
  std::unique_ptr<port::Timer> make_timer(std::function<void()> on_deadline) override {
    return std::make_unique<One>(*this, std::move(on_deadline));
  }
  void fire_all() {
    for (One* timer : std::vector<One*>(all_))
      if (std::exchange(timer->armed, false)) timer->on_deadline();
  }

 private:
  struct One final : port::Timer {
    One(Timers& timers, std::function<void()> on_deadline)
        : timers(timers), on_deadline(std::move(on_deadline)) {
      timers.all_.push_back(this);
    }
    ~One() override { std::erase(timers.all_, this); }
    void arm(Instant) override { armed = true; }
    void cancel() override { armed = false; }

    Timers& timers;
    std::function<void()> on_deadline;
    bool armed = false;
  };
  std::vector<One*> all_;
};

std::string text_of(const mem::Buffer& payload) {
  return {reinterpret_cast<const char*>(payload.data()), payload.size()};
}

// Records its appends, which become durable when the test says so.
class Log final : public log::Log {
 public:
  const log::Recovery& recovery() const override { return recovery_; }
  void attach(GroupId, log::Appender* appender) override { this->appender = appender; }
  Status append(const log::Append& append) override {
    if (full) return fail(BOP_E_LOG_FULL);
    numbers.push_back(append.number);
    if (first.index == 0) first = append.entries[0][0];
    hard = append.hard;
    for (const auto& piece : append.entries) {
      for (const Entry& entry : piece) {
        terms.resize(entry.index);
        terms.back() = entry.term;
        if (entry.kind == EntryKind::command) commands += text_of(entry.payload);
      }
    }
    return {};
  }
  void flush() override {}
  Status append_checkpoint(GroupId, raft::EntryId, Bytes) override { return {}; }
  Status restart(const log::Restart&) override { return {}; }
  void drop_checkpoints(GroupId, Index) override {}
  Status reserve(GroupId, size_t, bool commands) override {
    ++reservations;
    reserved_commands = commands;
    if (commands && takes_no_commands != BOP_OK) return fail(takes_no_commands);
    return {};
  }
  size_t largest_payload() const override { return 1 << 20; }
  // The term of the first entry, which the core does not have in memory.
  void read(GroupId, Index index, size_t,
            std::function<void(Result<std::vector<Entry>>)> done) override {
    ASSERT_EQ(index, 1u);
    ++reads_asked;
    reads.push_back([this, done = std::move(done)] {
      if (unreadable) return done(fail(BOP_E_DAMAGED, "000001.seg at 4096: damaged"));
      done(std::vector<Entry>{first});
    });
  }
  void compact(GroupId, raft::EntryId) override {}
  bool healthy(Instant, Duration) const override { return true; }
  bool idle() const override { return true; }
  uint64_t used_bytes() const override { return 0; }
  Capacity capacity() const override {
    Capacity out;
    out.obstacle = takes_no_commands;
    out.full = takes_no_commands != BOP_OK;
    return out;
  }
  bool crowded() const override { return false; }
  const Counters& counters() const override { return counters_; }
  void set_max_bytes(uint64_t) override {}
  void check() const override {}

  log::Appender* appender = nullptr;
  bool reserved_commands = false;  // by the last reserve()
  bool full = false;               // refuses appends, whatever reserve() returned before
  bop_status takes_no_commands = BOP_OK;
  bool unreadable = false;
  size_t reads_asked = 0;
  size_t reservations = 0;
  std::vector<uint64_t> numbers;
  std::vector<Term> terms;  // of the entries given, by index - 1
  std::string commands;     // their payloads, one behind the other
  raft::HardState hard;
  Entry first;
  std::vector<std::function<void()>> reads;

 private:
  log::Recovery recovery_;
  Counters counters_;
};

class Peers final : public Host {
 public:
  void schedule(Replica&) override {}
  void send(GroupId, const raft::Message& message) override { sent.push_back(message); }
  bool forward(NodeId, GroupId, const Forward& forward) override {
    if (!reachable) return false;
    forwards.push_back(forward);
    return true;
  }
  void reply_forward(NodeId, GroupId, const ForwardReply& reply) override {
    replies.push_back(reply.outcome.status);
  }
  bool reachable = true;  // forward() sends
  std::vector<raft::Message> sent;
  std::vector<Forward> forwards;
  std::vector<bop_status> replies;
};

class Client final : public port::Completion {
 public:
  void complete(uint64_t, const Outcome& outcome) override {
    answers.push_back(outcome.status);
    leaders.push_back(outcome.leader);
    details.emplace_back(outcome.detail);
  }
  std::vector<bop_status> answers;
  std::vector<NodeId> leaders;
  std::vector<std::string> details;
};

class Jobs final : public machine::Offload {
 public:
  void submit(WorkQueue, std::function<void()> work, std::function<void()> done) override {
    work();
    done_.push_back(std::move(done));
  }
  void run() {
    for (const auto& done : std::exchange(done_, {})) done();
  }

 private:
  std::vector<std::function<void()>> done_;
};

}  // namespace
}  // namespace bop::group

struct bop_machine {
  bop_position applied{};
  uint64_t stable = 0;
};

namespace bop::group {
namespace {

// Opens at `opens_at`, and records its calls.
bop_position opens_at;
bop_machine* opened = nullptr;
unsigned hash_questions = 0;
size_t answer_bytes = 0;
unsigned questions_until_hash = 1;
const char* obstacle = nullptr;
int32_t integrity = BOP_OK;  // its status, with `obstacle` as the reason of an error
bool apply_takes_long = false;
uint64_t pending_apply = 0;  // its token, while it takes long
bop_position pending_applied;
std::vector<std::string> expected_questions;  // as expect_query() received them
std::vector<std::string> questions;
bool answers_later = false;  // query() returns PENDING
std::vector<uint64_t> pending_queries;
const bop_machine_host* machine_host = nullptr;

bop_machine_table make_table() {
  bop_machine_table out{};
  out.size = sizeof out;
  out.abi = BOP_MACHINE_ABI;
  out.kind = "test";
  out.version = out.version_min = 1;
  out.open = [](const bop_machine_table*, const bop_machine_host* host, const bop_machine_options*,
                bop_machine** machine, char*, size_t) -> int32_t {
    machine_host = host;
    *machine = opened = new bop_machine{opens_at, 0};
    return BOP_OK;
  };
  out.apply = [](bop_machine* machine, const bop_entry* entries, size_t count, bop_reply*,
                 uint64_t token) -> int32_t {
    if (apply_takes_long) {
      pending_apply = token;
      pending_applied = {entries[count - 1].index, entries[count - 1].term};
      return BOP_PENDING;
    }
    for (size_t i = 0; i < count; ++i) machine->applied = {entries[i].index, entries[i].term};
    return BOP_OK;
  };
  out.expect_query = [](bop_machine*, bop_bytes question) {
    expected_questions.emplace_back(as_text({question.data, question.size}));
  };
  out.query = [](bop_machine*, bop_bytes question, bop_reply* reply, uint64_t token) -> int32_t {
    questions.emplace_back(as_text({question.data, question.size}));
    if (answers_later) {
      pending_queries.push_back(token);
      return BOP_PENDING;
    }
    static const std::vector<uint8_t> body(16 << 20);
    reply->body = {body.data(), answer_bytes};
    return BOP_OK;
  };
  out.sync = [](bop_machine*, uint64_t) -> int32_t { return BOP_OK; };
  out.applied = [](bop_machine* machine) { return machine->applied; };
  out.durable = [](bop_machine*) { return opens_at; };
  out.stable = [](bop_machine* machine, uint64_t index) { machine->stable = index; };
  out.state_hash = [](bop_machine* machine, bop_state_hash* hash) -> int32_t {
    *hash = {machine->applied.index, 1, 2};
    return ++hash_questions >= questions_until_hash ? BOP_OK : BOP_E_NOT_FOUND;
  };
  out.obstacle = [](bop_machine*) { return obstacle; };
  out.integrity = [](bop_machine*, bop_machine_integrity* result) {
    result->status = integrity;
    result->reason = integrity < 0 ? obstacle : nullptr;
  };
  out.close = [](bop_machine* machine) { delete machine; };
  return out;
}

// Node 1 of 1, 2 and 3.
class ReplicaTest : public testing::Test {
 protected:
  ReplicaTest() {
    opens_at = {};
    hash_questions = 0;
    answer_bytes = 0;
    questions_until_hash = 1;
    obstacle = nullptr;
    integrity = BOP_OK;
    apply_takes_long = false;
    expected_questions.clear();
    questions.clear();
    answers_later = false;
    pending_queries.clear();
    options_.id = 1;
    options_.name = "test";
    options_.configuration.voters = {1, 2, 3};
    options_.raft.self = 1;
    options_.machine = &table_;
    options_.epoch = 1;
  }

  // That of a group which was formed with options_.
  std::vector<log::Checkpoint> first_checkpoint() const {
    Checkpoint facts;
    facts.configuration = options_.configuration;
    facts.machine_version = table_.version;
    facts.machine = table_.kind;
    return {{{}, encode(facts)}};
  }
  Status open(const log::RecoveredGroup* recovered) {
    BOP_TRY_ASSIGN(replica_,
                   Replica::open(options_, {clock_, timers_, log_, peers_, offload_}, recovered));
    if (recovered == nullptr) log_.appender->durable(0);
    log_.numbers.clear();
    replica_->start();
    turn();
    return {};
  }
  void turn() {
    do {
      for (const auto& read : std::exchange(log_.reads, {})) read();
      replica_->step();
      replica_->finish();
      replica_->check();
    } while (!log_.reads.empty());
  }
  void log_is_durable() {
    log_.appender->durable(log_.numbers.back());
    turn();
  }

  // The log of `leader` has its no-op and a command after the first entry. Further commands begin at `first`.
  void hear(NodeId leader, Term term, Index commit, Index first = 2, Term before = 1) {
    std::vector<Entry> entries(2);
    for (size_t i = 0; i < entries.size(); ++i) {
      entries[i].kind = first == 2 && i == 0 ? EntryKind::noop : EntryKind::command;
      entries[i].term = term;
      entries[i].index = first + i;
    }
    raft::Message message;
    message.kind = raft::MessageKind::append_request;
    message.from = leader;
    message.to = 1;
    message.term = term;
    message.log_term = before;
    message.index = first - 1;
    message.commit = commit;
    message.entries = entries;
    replica_->receive(message);
    turn();
  }

  void propose(std::string_view command = "command", uint64_t connection = 0,
               Duration time = 60 * seconds) {
    replica_->propose({.group = 1,
                       .payload = mem::Buffer::copy(as_bytes(command)),
                       .deadline = clock_.now() + time,
                       .completion = &client_,
                       .token = 1,
                       .connection = connection});
  }
  // The leader's reply to the nth forwarded command.
  void reply_to_forward(size_t nth, NodeId from, bop_status status) {
    Outcome outcome;
    outcome.status = status;
    replica_->receive_forward_reply(from, {options_.epoch, peers_.forwards[nth].sequence, outcome});
    turn();
  }
  std::string forwarded() const {
    std::string order;
    for (const Forward& forward : peers_.forwards) order += text_of(forward.payload);
    return order;
  }
  // Command "1" of connection 7 was sent to node 2, which another leader deposed.
  void leave_a_command_with_a_deposed_leader(Duration time = 60 * seconds) {
    ASSERT_TRUE(open(nullptr));
    hear(2, 2, 3);
    log_is_durable();
    propose("1", 7, time);
    hear(3, 3, 3, 4, 2);
    ASSERT_EQ(replica_->core()->leader(), 3u);
    ASSERT_EQ(forwarded(), "1");
  }
  void query(const std::string& question = "question") {
    replica_->query({.group = 1,
                     .payload = mem::Buffer::copy(as_bytes(question)),
                     .deadline = clock_.now() + 60 * seconds,
                     .completion = &client_,
                     .token = 1});
  }
  void pass(Duration time) {
    for (const Instant end = clock_.now_ns + time; clock_.now_ns < end;) {
      clock_.now_ns += 20 * milliseconds;
      timers_.fire_all();
      turn();
    }
  }
  // Makes it campaign, and the others vote for it.
  void win() {
    const auto vote = [this](raft::MessageKind kind, Term term) {
      raft::Message reply;
      reply.kind = kind;
      reply.from = 2;
      reply.to = 1;
      reply.term = term;
      reply.ok = true;
      replica_->receive(reply);
      turn();
    };
    clock_.now_ns += 10 * seconds;
    turn();
    vote(raft::MessageKind::pre_vote_reply, 2);
    log_is_durable();
    vote(raft::MessageKind::vote_reply, 2);
    ASSERT_TRUE(replica_->leads());
    for (const NodeId peer : {2, 3}) replica_->node_alive(peer);
    turn();
  }

  // Whether it does in this turn, at last.
  bool hands_over_to(NodeId successor) {
    turn();
    return !replica_->leads() && std::ranges::any_of(peers_.sent, [&](const raft::Message& m) {
      return m.kind == raft::MessageKind::step_down_notice && m.ok && m.hindered &&
             m.to == successor;
    });
  }

  // Node 2 acknowledges all that this leader's log holds. Its reply, to be sent again for other rounds.
  raft::Message follower_has_all(bool hindered = false) {
    return follower_has(replica_->core()->last(), hindered);
  }
  raft::Message follower_has(Index match, bool hindered = false) {
    raft::Message reply;
    reply.kind = raft::MessageKind::append_reply;
    reply.from = 2;
    reply.to = 1;
    reply.term = 2;
    reply.ok = true;
    reply.hindered = hindered;
    reply.match = match;
    for (const raft::Message& m : peers_.sent) reply.round = std::max(reply.round, m.round);
    replica_->receive(reply);
    turn();
    return reply;
  }

  Client client_;
  Clock clock_;
  Timers timers_;
  Log log_;
  Peers peers_;
  // A job of the machine ends, after which its integrity has that status.
  void machine_becomes(int32_t status) {
    static int32_t next;
    next = status;
    machine_host->offload(
        machine_host->context, BOP_WORK_WRITES, [](void*) {}, [](void*) { integrity = next; },
        nullptr);
    offload_.run();
    turn();
  }

  Jobs offload_;
  const bop_machine_table table_ = make_table();
  ReplicaOptions options_;
  std::unique_ptr<Replica> replica_;
};

TEST_F(ReplicaTest, a_replica_whose_machine_verifies_its_state_acknowledges_but_does_not_campaign) {
  integrity = BOP_PENDING;
  obstacle = "verifying the store, 1 of 2 MiB";
  ASSERT_TRUE(open(nullptr));
  hear(2, 2, 1);
  log_is_durable();
  ASSERT_FALSE(peers_.sent.empty());
  EXPECT_EQ(peers_.sent.back().kind, raft::MessageKind::append_reply);
  EXPECT_TRUE(peers_.sent.back().ok);
  EXPECT_TRUE(peers_.sent.back().hindered) << "a leader would hand over to it";
  query();
  turn();
  EXPECT_EQ(client_.answers, std::vector{BOP_E_UNAVAILABLE});
  EXPECT_NE(client_.details[0].find("verifying the store, 1 of 2 MiB"), std::string::npos);
  EXPECT_TRUE(replica_->status().verifying);
  EXPECT_FALSE(replica_->ready());
  EXPECT_FALSE(replica_->scrub(1));
  peers_.sent.clear();
  pass(20 * seconds);
  EXPECT_TRUE(peers_.sent.empty()) << "it asked for votes";

  obstacle = nullptr;
  machine_becomes(BOP_OK);
  EXPECT_FALSE(replica_->status().verifying);
  pass(20 * seconds);
  EXPECT_FALSE(peers_.sent.empty()) << "it does not campaign";
}

TEST_F(ReplicaTest,
       a_machine_that_verifies_its_state_is_a_hindrance_even_if_it_reports_no_obstacle) {
  integrity = BOP_PENDING;
  ASSERT_TRUE(open(nullptr));
  hear(2, 2, 1);
  log_is_durable();
  EXPECT_TRUE(peers_.sent.back().hindered);
  EXPECT_NE(replica_->status().hindrance_text, "");
  query();
  turn();
  EXPECT_EQ(client_.answers, std::vector{BOP_E_UNAVAILABLE});
  machine_becomes(BOP_OK);
  hear(2, 2, 3, 4, 2);
  log_is_durable();
  EXPECT_FALSE(peers_.sent.back().hindered);
  EXPECT_EQ(replica_->status().hindrance_text, "");
}

TEST_F(ReplicaTest, a_machine_that_finds_its_state_damaged_halts_the_replica_with_the_reason) {
  ASSERT_TRUE(open(nullptr));
  obstacle = "kv.mdbx at 4096: a page is bad";
  machine_becomes(BOP_E_DAMAGED);
  const Replica::Status status = replica_->status();
  ASSERT_TRUE(status.halted);
  EXPECT_EQ(status.halted->code, BOP_E_DAMAGED);
  EXPECT_NE(status.halted->detail.find("kv.mdbx at 4096: a page is bad"), std::string::npos);
  query();
  propose();
  turn();
  EXPECT_EQ(client_.answers, (std::vector{BOP_E_DAMAGED, BOP_E_DAMAGED}));
}

TEST_F(ReplicaTest, a_machine_may_make_committed_and_durable_entries_permanent) {
  ASSERT_TRUE(open(nullptr));
  hear(2, 2, 3);
  EXPECT_EQ(opened->applied.index, 3u);
  EXPECT_EQ(opened->stable, 1u);
  log_is_durable();
  EXPECT_EQ(opened->stable, 3u);
}

TEST_F(ReplicaTest, a_machine_may_not_make_entries_permanent_that_replaced_durable_ones) {
  ASSERT_TRUE(open(nullptr));
  hear(2, 2, 1);
  log_is_durable();  // a leader that was deposed before they were committed
  hear(3, 3, 3);
  EXPECT_EQ(opened->applied.term, 3u);
  EXPECT_EQ(opened->stable, 1u) << "the log may still begin again with what was replaced";
  log_is_durable();
  EXPECT_EQ(opened->stable, 3u);
}

TEST_F(ReplicaTest, status_asks_the_machine_for_no_hash) {
  ASSERT_TRUE(open(nullptr));
  hear(2, 2, 3);
  for (int i = 0; i < 100; ++i) EXPECT_FALSE(replica_->status().hash);
  EXPECT_EQ(hash_questions, 0u);
  replica_->refresh_hash();
  EXPECT_EQ(hash_questions, 1u);
  ASSERT_TRUE(replica_->status().hash);
  EXPECT_EQ(replica_->status().hash->index, 3u);
}

TEST_F(ReplicaTest, a_replica_at_rest_asks_its_machine_until_it_has_the_hash) {
  questions_until_hash = 7;
  ASSERT_TRUE(open(nullptr));
  hear(2, 2, 3);
  pass(10 * seconds);
  ASSERT_TRUE(replica_->status().hash);
  EXPECT_EQ(replica_->status().hash->index, 3u);
  EXPECT_EQ(hash_questions, 7u);
}

TEST_F(ReplicaTest, a_machine_of_another_history_than_its_log_is_refused) {
  log::RecoveredGroup recovered;
  recovered.group = 1;
  recovered.hard = {.term = 3, .vote = 0};
  recovered.runs = {{.first = 1, .term = 1}, {.first = 2, .term = 2}, {.first = 4, .term = 3}};
  recovered.last = 5;
  recovered.checkpoints = first_checkpoint();
  opens_at = {.index = 3, .term = 2};
  EXPECT_TRUE(open(&recovered));
  opens_at = {.index = 3, .term = 3};
  const Status refused = open(&recovered);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, BOP_E_DAMAGED);
}

TEST_F(ReplicaTest, recovers_from_the_newest_checkpoint_that_its_machine_has_reached) {
  Checkpoint facts;
  facts.machine = table_.kind;
  facts.machine_version = table_.version;
  log::RecoveredGroup recovered;
  recovered.group = 1;
  recovered.hard = {.term = 3, .vote = 0};
  recovered.before_first = {.term = 2, .index = 10};
  recovered.runs = {{.first = 11, .term = 3}};
  recovered.last = 40;
  const auto add_checkpoint = [&](raft::EntryId at, std::vector<NodeId> voters) {
    facts.at = at;
    facts.configuration.voters = std::move(voters);
    recovered.checkpoints.push_back({at, encode(facts)});
  };
  add_checkpoint({.term = 2, .index = 10}, {1, 4});
  add_checkpoint({.term = 3, .index = 20}, {1, 4, 5});
  const auto voters_with_machine_at = [&](bop_position position) {
    opens_at = position;
    EXPECT_TRUE(open(&recovered));
    return replica_->core()->configuration().voters;
  };
  EXPECT_EQ(voters_with_machine_at({10, 2}), (std::vector<NodeId>{1, 4}));
  EXPECT_EQ(voters_with_machine_at({19, 3}), (std::vector<NodeId>{1, 4}));
  EXPECT_EQ(replica_->status().checkpoint, 10u);
  EXPECT_EQ(voters_with_machine_at({20, 3}), (std::vector<NodeId>{1, 4, 5}));
  EXPECT_EQ(replica_->status().checkpoint, 20u);
  recovered.checkpoints.erase(recovered.checkpoints.begin());
  opens_at = {19, 3};
  EXPECT_EQ(open(&recovered).error().code, BOP_E_DAMAGED) << "nothing tells of entries 11 to 19";
}

TEST_F(ReplicaTest, a_machine_ahead_of_its_log_is_suspect) {
  log::RecoveredGroup recovered;
  recovered.group = 1;
  recovered.hard = {.term = 3, .vote = 0};
  recovered.runs = {{.first = 1, .term = 1}, {.first = 2, .term = 3}};
  recovered.last = 5;
  recovered.checkpoints = first_checkpoint();
  opens_at = {.index = 5, .term = 3};
  EXPECT_TRUE(open(&recovered));
  opens_at = {.index = 6, .term = 3};
  const Status refused = open(&recovered);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, BOP_E_SUSPECT);
  EXPECT_EQ(refused.error().detail,
            "group test: the machine holds entries up to 6, but its log ends at 5: the log lost "
            "entries");
}

TEST_F(ReplicaTest, commands_are_forwarded_in_the_order_in_which_they_came) {
  ASSERT_TRUE(open(nullptr));
  propose("1");  // no leader is known
  hear(2, 2, 1);
  peers_.reachable = false;
  for (const char* command : {"2", "3"}) propose(command);
  turn();
  peers_.reachable = true;
  for (const char* command : {"4", "5"}) propose(command);
  pass(100 * milliseconds);
  std::string order;
  for (const Forward& forward : peers_.forwards) order += text_of(forward.payload);
  EXPECT_EQ(order, "12345");
}

TEST_F(ReplicaTest, commands_that_waited_for_a_leader_are_proposed_before_later_ones) {
  ASSERT_TRUE(open(nullptr));
  for (const char* command : {"1", "2"}) propose(command);
  win();
  propose("3");
  log_is_durable();
  EXPECT_EQ(log_.commands, "123");
}

// ---- the order of a connection's commands ----

TEST_F(ReplicaTest,
       a_command_waits_for_an_earlier_one_of_its_connection_that_a_deposed_leader_has) {
  leave_a_command_with_a_deposed_leader();
  propose("2", 7);
  propose("3", 8);
  propose("4");
  turn();
  EXPECT_EQ(forwarded(), "134") << "other connections do not wait";
  propose("5", 7);
  reply_to_forward(0, 2, BOP_E_NOT_LEADER);
  EXPECT_EQ(forwarded(), "134125");
}

TEST_F(ReplicaTest, a_command_that_the_deposed_leader_executed_lets_the_later_ones_go_on) {
  leave_a_command_with_a_deposed_leader();
  propose("2", 7);
  turn();
  reply_to_forward(0, 2, BOP_OK);
  EXPECT_EQ(client_.answers, std::vector{BOP_OK});
  EXPECT_EQ(forwarded(), "12");
  propose("3", 7);
  EXPECT_EQ(forwarded(), "123");
}

TEST_F(ReplicaTest, a_command_waits_no_longer_than_the_earlier_ones_deadline) {
  leave_a_command_with_a_deposed_leader(200 * milliseconds);
  propose("2", 7);
  pass(160 * milliseconds);
  EXPECT_EQ(forwarded(), "1");
  pass(80 * milliseconds);
  EXPECT_EQ(client_.answers, std::vector{BOP_E_OUTCOME_UNKNOWN});
  EXPECT_EQ(forwarded(), "12");
}

TEST_F(ReplicaTest, a_command_that_waits_for_an_earlier_one_expires_by_its_own_deadline) {
  leave_a_command_with_a_deposed_leader();
  propose("2", 7, 100 * milliseconds);
  pass(140 * milliseconds);
  EXPECT_EQ(client_.answers, std::vector{BOP_E_UNAVAILABLE});
  EXPECT_EQ(client_.details[0],
            "an earlier command of this connection was not decided before the deadline");
}

TEST_F(ReplicaTest, a_connection_to_the_deposed_leader_that_breaks_decides_its_commands) {
  leave_a_command_with_a_deposed_leader();
  propose("2", 7);
  replica_->channel_lost(2);
  turn();
  EXPECT_EQ(client_.answers, std::vector{BOP_E_OUTCOME_UNKNOWN});
  EXPECT_EQ(forwarded(), "12");
}

TEST_F(ReplicaTest, refused_commands_are_sent_again_in_order_however_the_refusals_arrive) {
  ASSERT_TRUE(open(nullptr));
  hear(2, 2, 3);
  log_is_durable();
  for (const char* command : {"1", "2", "3"}) propose(command, 7);
  ASSERT_EQ(forwarded(), "123");
  reply_to_forward(1, 2, BOP_E_NOT_LEADER);
  propose("4", 7);
  hear(3, 3, 3, 4, 2);
  propose("5", 7);
  reply_to_forward(2, 2, BOP_E_NOT_LEADER);
  EXPECT_EQ(forwarded(), "123") << "the first may still be executed";
  reply_to_forward(0, 2, BOP_E_NOT_LEADER);
  EXPECT_EQ(forwarded(), "12312345");
}

TEST_F(ReplicaTest, nothing_is_sent_to_a_leader_any_more_that_refused_a_command) {
  ASSERT_TRUE(open(nullptr));
  hear(2, 2, 3);
  log_is_durable();
  propose("1", 7);
  Outcome outcome;
  outcome.status = BOP_E_NOT_LEADER;
  replica_->receive_forward_reply(2, {options_.epoch, peers_.forwards[0].sequence, outcome});
  propose("2", 7);  // in the same turn
  propose("3");
  turn();
  EXPECT_EQ(forwarded(), "1");
  hear(3, 3, 3, 4, 2);
  EXPECT_EQ(forwarded(), "1123");
}

TEST_F(ReplicaTest, a_new_leader_proposes_no_command_before_the_earlier_ones_of_its_connection) {
  ASSERT_TRUE(open(nullptr));
  hear(2, 1, 1);
  propose("1", 7);
  ASSERT_EQ(forwarded(), "1");
  log_.commands.clear();
  win();
  propose("2", 7);
  turn();
  EXPECT_EQ(log_.commands, "");
  reply_to_forward(0, 2, BOP_E_NOT_LEADER);
  EXPECT_EQ(log_.commands, "12");
}

TEST_F(ReplicaTest, commands_that_wait_for_earlier_ones_are_completed_when_the_log_fails) {
  leave_a_command_with_a_deposed_leader();
  propose("2", 7);
  log_.appender->latched({BOP_E_LATCHED, "the disk failed"});
  turn();
  EXPECT_EQ(client_.answers, std::vector{BOP_E_LATCHED});
  reply_to_forward(0, 2, BOP_E_NOT_LEADER);
  EXPECT_EQ(client_.answers, (std::vector{BOP_E_LATCHED, BOP_E_LATCHED}));
  EXPECT_TRUE(replica_->idle());
}

TEST_F(ReplicaTest, space_in_the_log_is_reserved_once_for_each_command) {
  ASSERT_TRUE(open(nullptr));
  win();
  log_.reservations = 0;
  for (const char* command : {"1", "2", "3"}) propose(command);
  replica_->receive_forward(3, {.origin_epoch = 1,
                                .sequence = 1,
                                .term = 2,
                                .time_left = 60 * seconds,
                                .payload = mem::Buffer::copy(as_bytes("4"))});
  turn();
  log_is_durable();
  EXPECT_EQ(log_.reservations, 4u);
}

// The log goes on in the background, and would report a failure to it.
TEST_F(ReplicaTest, a_replica_that_is_gone_is_not_called_by_the_log) {
  opens_at = {6, 1};
  ASSERT_FALSE(open(nullptr));
  EXPECT_EQ(log_.appender, nullptr);
}

TEST_F(ReplicaTest,
       a_replica_that_could_not_be_opened_is_halted_and_completes_requests_with_the_reason) {
  replica_ = Replica::halted(options_, {clock_, timers_, log_, peers_, offload_},
                             {BOP_E_DAMAGED, "kv.mdbx: a page is damaged"},
                             {.file = "shard0/group-1/1", .offset = 0});
  EXPECT_TRUE(replica_->opened());
  replica_->start();
  hear(2, 2, 1);
  propose();
  replica_->receive_forward(
      3, {.origin_epoch = 1, .sequence = 1, .term = 2, .time_left = 60 * seconds, .payload = {}});
  turn();
  EXPECT_EQ(client_.answers, std::vector{BOP_E_DAMAGED});
  EXPECT_EQ(client_.details, std::vector<std::string>{"kv.mdbx: a page is damaged"});
  EXPECT_EQ(peers_.replies, std::vector{BOP_E_NOT_LEADER});
  EXPECT_TRUE(peers_.sent.empty());
  EXPECT_TRUE(replica_->idle());
  EXPECT_FALSE(replica_->ready());
  EXPECT_EQ(replica_->status().halted->code, BOP_E_DAMAGED);
}

TEST_F(ReplicaTest, a_leader_whose_machine_is_held_up_refuses_commands_and_says_why) {
  ASSERT_TRUE(open(nullptr));
  win();
  obstacle = "flushing waits for space";
  propose();
  turn();
  EXPECT_EQ(client_.answers, std::vector{BOP_E_OVERLOADED});
  EXPECT_EQ(client_.details,
            std::vector<std::string>{"the machine is held up: flushing waits for space"});
  EXPECT_EQ(replica_->status().obstacle, obstacle);
  obstacle = nullptr;
  propose();
  turn();
  EXPECT_EQ(client_.answers.size(), 1u) << "the second is taken, and waits for its majority";
  EXPECT_EQ(replica_->status().obstacle, "");
}

// ---- a leader that cannot serve ----

TEST_F(ReplicaTest, a_leader_whose_machine_is_held_up_hands_over_to_a_voter_that_can_serve) {
  ASSERT_TRUE(open(nullptr));
  win();
  log_is_durable();
  follower_has_all();
  obstacle = "flushing waits for space";
  EXPECT_TRUE(hands_over_to(2));
  EXPECT_EQ(replica_->status().hindrance, raft::Cause::machine_held_up);
  EXPECT_EQ(replica_->status().hindrance_text, "the machine is held up: flushing waits for space");
}

TEST_F(ReplicaTest, a_leader_whose_disk_is_full_hands_over) {
  ASSERT_TRUE(open(nullptr));
  win();
  log_is_durable();
  follower_has_all();
  log_.takes_no_commands = BOP_E_DISK_FULL;
  EXPECT_TRUE(hands_over_to(2));
}

TEST_F(ReplicaTest, a_leader_whose_machine_is_behind_for_an_election_timeout_hands_over) {
  ASSERT_TRUE(open(nullptr));
  win();
  log_is_durable();
  follower_has_all();
  apply_takes_long = true;
  propose();
  turn();
  log_is_durable();
  follower_has_all();
  pass(options_.raft.election_timeout - 100 * milliseconds);
  follower_has_all();
  ASSERT_TRUE(replica_->leads());
  pass(200 * milliseconds);
  EXPECT_TRUE(hands_over_to(2));
  // What its machine does not answer soon, nobody will.
  EXPECT_TRUE(client_.answers.empty());
  pass(options_.raft.election_timeout / 2 + 40 * milliseconds);
  EXPECT_EQ(client_.answers, std::vector{BOP_E_OUTCOME_UNKNOWN});
  EXPECT_EQ(client_.details[0],
            "this node handed over the leadership, because its machine is too slow to answer");
}

// As behind a link on which entries reach the others more slowly than clients send them.
TEST_F(ReplicaTest, what_waits_to_be_committed_is_bounded_also_after_its_clients_were_answered) {
  options_.limits.max_open_proposals = 2;
  ASSERT_TRUE(open(nullptr));
  win();
  log_is_durable();
  propose("a", 0, 1 * seconds);
  propose("b", 0, 1 * seconds);
  turn();
  log_is_durable();
  follower_has(2);  // not the two
  pass(900 * milliseconds);
  follower_has(2);
  pass(200 * milliseconds);
  EXPECT_EQ(client_.answers, (std::vector{BOP_E_OUTCOME_UNKNOWN, BOP_E_OUTCOME_UNKNOWN}));
  const Index last = replica_->core()->last();
  propose();
  turn();
  EXPECT_EQ(client_.answers.back(), BOP_E_OVERLOADED);
  EXPECT_EQ(client_.details.back(), "too many proposals are open in this group");
  EXPECT_EQ(replica_->core()->last(), last) << "it is not appended";
  follower_has_all();
  propose();
  turn();
  EXPECT_EQ(client_.answers.size(), 3u) << "the next one is taken";
}

// Else it would commit more and more that it answers too late, and no request would ever succeed.
TEST_F(ReplicaTest, a_leader_whose_machine_is_behind_and_that_nobody_can_relieve_refuses_commands) {
  ASSERT_TRUE(open(nullptr));
  win();
  log_is_durable();
  follower_has_all(true);
  apply_takes_long = true;
  propose();
  turn();
  log_is_durable();
  for (Duration left = options_.raft.election_timeout; left >= 0; left -= 100 * milliseconds) {
    follower_has_all(true);
    pass(100 * milliseconds);
  }
  follower_has_all(true);
  ASSERT_EQ(replica_->status().hindrance, raft::Cause::machine_behind);
  ASSERT_TRUE(replica_->leads());
  ASSERT_TRUE(client_.answers.empty());
  propose();
  turn();
  EXPECT_EQ(client_.answers, std::vector{BOP_E_OVERLOADED});
  EXPECT_EQ(client_.details.back(), replica_->status().hindrance_text);
  EXPECT_NE(client_.details.back().find("the machine has not applied entry 3"), std::string::npos);

  apply_takes_long = false;
  opened->applied = pending_applied;
  const bop_reply reply{};
  machine_host->complete(machine_host->context, pending_apply, BOP_OK, &reply, 1);
  turn();
  EXPECT_EQ(client_.answers.back(), BOP_OK) << "of the first";
  propose();
  turn();
  EXPECT_EQ(client_.answers.size(), 2u) << "the next one is taken";
}

TEST_F(ReplicaTest, a_leader_that_handed_over_answers_what_its_machine_applies_soon) {
  ASSERT_TRUE(open(nullptr));
  win();
  log_is_durable();
  follower_has_all();
  propose();
  turn();
  obstacle = "flushing waits for space";
  turn();
  log_is_durable();
  follower_has_all();
  EXPECT_TRUE(hands_over_to(2));
  EXPECT_EQ(client_.answers, std::vector{BOP_OK});
  pass(options_.raft.election_timeout);
  EXPECT_EQ(client_.answers.size(), 1u);
}

TEST_F(ReplicaTest, a_follower_whose_machine_is_held_up_tells_its_leader) {
  ASSERT_TRUE(open(nullptr));
  obstacle = "flushing waits for space";
  hear(2, 2, 3);
  log_is_durable();
  ASSERT_EQ(peers_.sent.back().kind, raft::MessageKind::append_reply);
  EXPECT_TRUE(peers_.sent.back().hindered);
  obstacle = nullptr;
  hear(2, 2, 3, 4, 2);
  log_is_durable();
  EXPECT_FALSE(peers_.sent.back().hindered);
}

TEST_F(ReplicaTest, a_leader_hands_over_after_one_entry_that_it_could_not_read) {
  ASSERT_TRUE(open(nullptr));
  win();
  log_is_durable();
  follower_has_all();
  log_.unreadable = true;
  log_.reads_asked = 0;
  peers_.sent.clear();
  raft::Message empty;  // of node 3, whose log has nothing
  empty.kind = raft::MessageKind::append_reply;
  empty.from = 3;
  empty.to = 1;
  empty.term = 2;
  empty.index = 1;
  replica_->receive(empty);
  turn();
  empty.ok = true;
  empty.index = 0;
  replica_->receive(empty);
  EXPECT_TRUE(hands_over_to(2));
  EXPECT_EQ(log_.reads_asked, 1u);
  EXPECT_EQ(replica_->status().hindrance_text,
            "entry 1 cannot be read: BOP_E_DAMAGED: 000001.seg at 4096: damaged");
}

TEST_F(ReplicaTest, commands_that_come_during_a_handover_wait_for_the_next_leader) {
  ASSERT_TRUE(open(nullptr));
  win();
  log_is_durable();
  follower_has_all();
  propose("1");
  turn();
  obstacle = "flushing waits for space";
  turn();
  ASSERT_TRUE(replica_->core()->hands_over());
  const Index last = replica_->core()->last();
  propose("2");
  replica_->receive_forward(3, {.origin_epoch = 1,
                                .sequence = 1,
                                .term = 2,
                                .time_left = 60 * seconds,
                                .payload = mem::Buffer::copy(as_bytes("3"))});
  turn();
  EXPECT_EQ(replica_->core()->last(), last);
  EXPECT_TRUE(client_.answers.empty());
  EXPECT_TRUE(peers_.replies.empty());
  EXPECT_FALSE(replica_->idle());
  follower_has_all();
  EXPECT_TRUE(hands_over_to(2));
  EXPECT_EQ(peers_.replies, std::vector{BOP_E_NOT_LEADER});
  hear(2, 3, last, last + 1, 2);
  ASSERT_EQ(peers_.forwards.size(), 1u);
  EXPECT_EQ(text_of(peers_.forwards[0].payload), "2");
}

TEST_F(ReplicaTest, commands_that_waited_for_a_handover_that_nobody_completed_are_proposed) {
  ASSERT_TRUE(open(nullptr));
  win();
  log_is_durable();
  follower_has_all();
  propose("1");
  turn();
  obstacle = "flushing waits for space";
  turn();
  ASSERT_TRUE(replica_->core()->hands_over());
  propose("2");
  replica_->receive_forward(3, {.origin_epoch = 1,
                                .sequence = 1,
                                .term = 2,
                                .time_left = 60 * seconds,
                                .payload = mem::Buffer::copy(as_bytes("3"))});
  turn();
  obstacle = nullptr;
  pass(40 * milliseconds);
  ASSERT_TRUE(replica_->leads());
  EXPECT_FALSE(replica_->core()->hands_over());
  EXPECT_EQ(log_.commands.size(), 3u);
  EXPECT_NE(log_.commands.find('2'), std::string::npos);
  EXPECT_NE(log_.commands.find('3'), std::string::npos);
}

TEST_F(ReplicaTest, requests_of_a_turn_in_which_the_log_fails_are_completed) {
  ASSERT_TRUE(open(nullptr));
  win();
  propose();
  replica_->receive_forward(3, {.origin_epoch = 1,
                                .sequence = 1,
                                .term = 2,
                                .time_left = 60 * seconds,
                                .payload = mem::Buffer::copy(as_bytes("command"))});
  log_.appender->latched({BOP_E_LATCHED, "the disk failed"});
  turn();
  EXPECT_EQ(client_.answers, std::vector{BOP_E_LATCHED});
  EXPECT_EQ(peers_.replies, std::vector{BOP_E_NOT_LEADER});
}

TEST_F(ReplicaTest, the_outcome_of_proposals_is_unknown_when_the_log_fails) {
  ASSERT_TRUE(open(nullptr));
  win();
  propose();
  turn();
  log_.appender->latched({BOP_E_LATCHED, "the disk failed"});
  turn();
  EXPECT_EQ(client_.answers, std::vector{BOP_E_OUTCOME_UNKNOWN});
  EXPECT_NE(client_.details[0].find("this replica halted: "), std::string::npos)
      << client_.details[0];
  EXPECT_NE(client_.details[0].find("the disk failed"), std::string::npos) << client_.details[0];
}

TEST_F(ReplicaTest, forwarded_requests_are_still_answered_by_the_leader_after_the_log_failed) {
  ASSERT_TRUE(open(nullptr));
  hear(2, 2, 3);
  log_is_durable();
  propose();
  propose();
  ASSERT_EQ(peers_.forwards.size(), 2u);
  log_.appender->latched({BOP_E_LATCHED, "the disk failed"});
  turn();
  EXPECT_TRUE(client_.answers.empty()) << "the leader has them, and its log did not fail";
  EXPECT_FALSE(replica_->idle());
  Outcome executed, refused;
  refused.status = BOP_E_NOT_LEADER;
  replica_->receive_forward_reply(2, {options_.epoch, peers_.forwards[0].sequence, executed});
  replica_->receive_forward_reply(2, {options_.epoch, peers_.forwards[1].sequence, refused});
  turn();
  EXPECT_EQ(client_.answers, (std::vector{BOP_OK, BOP_E_LATCHED}));
  EXPECT_TRUE(replica_->idle());
}

TEST_F(ReplicaTest, forwarded_requests_still_expire_after_the_log_failed) {
  ASSERT_TRUE(open(nullptr));
  hear(2, 2, 3);
  log_is_durable();
  propose();
  log_.appender->latched({BOP_E_LATCHED, "the disk failed"});
  turn();
  timers_.fire_all();
  turn();
  EXPECT_TRUE(client_.answers.empty());
  clock_.now_ns += 60 * seconds;
  timers_.fire_all();
  turn();
  EXPECT_EQ(client_.answers, std::vector{BOP_E_OUTCOME_UNKNOWN});
  EXPECT_EQ(client_.details[0], "the leader did not answer before the deadline");
}

TEST_F(ReplicaTest, all_open_requests_are_completed_when_the_node_stops) {
  ASSERT_TRUE(open(nullptr));
  win();
  propose();
  turn();
  replica_->query({.group = 1,
                   .payload = mem::Buffer::copy(as_bytes("question")),
                   .deadline = clock_.now() + 60 * seconds,
                   .completion = &client_,
                   .token = 1});
  turn();
  replica_->abandon();
  turn();
  EXPECT_EQ(client_.answers, (std::vector{BOP_E_OUTCOME_UNKNOWN, BOP_E_STOPPED}));
  EXPECT_EQ(client_.details[0], "the entry was not committed before this node stopped");
  EXPECT_TRUE(replica_->idle());
}

TEST_F(ReplicaTest, a_successful_write_names_the_leader) {
  ASSERT_TRUE(open(nullptr));
  win();
  propose();
  turn();
  const Index last = replica_->core()->last();
  log_is_durable();
  raft::Message reply;
  reply.kind = raft::MessageKind::append_reply;
  reply.from = 2;
  reply.to = 1;
  reply.term = 2;
  reply.ok = true;
  reply.match = last;
  replica_->receive(reply);
  turn();
  EXPECT_EQ(client_.answers, std::vector{BOP_OK});
  EXPECT_EQ(client_.leaders, std::vector<NodeId>{1});
}

TEST_F(ReplicaTest, a_proposal_superseded_by_a_newer_leaders_entries_was_not_executed) {
  ASSERT_TRUE(open(nullptr));
  win();  // entry 2 is its no-op
  propose();
  propose();
  propose();
  turn();
  ASSERT_EQ(replica_->core()->last(), 5u);
  hear(3, 3, 3, 2, 1);  // replaces entries 2 and 3, and nothing is known of 4 and 5 but that
  EXPECT_EQ(client_.answers,
            (std::vector{BOP_E_UNAVAILABLE, BOP_E_UNAVAILABLE, BOP_E_UNAVAILABLE}));
  EXPECT_EQ(client_.leaders, (std::vector<NodeId>{3, 3, 3}));
  EXPECT_TRUE(replica_->idle());
}

TEST_F(ReplicaTest, a_leader_that_refuses_a_forwarded_request_is_not_followed_any_more) {
  ASSERT_TRUE(open(nullptr));
  hear(2, 2, 3);
  log_is_durable();
  propose();
  ASSERT_EQ(peers_.forwards.size(), 1u);
  Outcome refusal;
  refusal.status = BOP_E_NOT_LEADER;
  replica_->receive_forward_reply(2, {options_.epoch, peers_.forwards[0].sequence, refusal});
  turn();
  EXPECT_EQ(replica_->core()->leader(), 0u);
  EXPECT_TRUE(client_.answers.empty()) << "it waits for the next leader";
}

TEST_F(ReplicaTest, a_read_that_waits_for_an_entry_is_completed_when_the_log_fails) {
  ASSERT_TRUE(open(nullptr));
  hear(2, 2, 1);
  log_is_durable();
  query();
  turn();
  raft::Message reply = peers_.sent.back();
  ASSERT_EQ(reply.kind, raft::MessageKind::read_request);
  reply.kind = raft::MessageKind::read_reply;
  std::swap(reply.from, reply.to);
  reply.ok = true;
  reply.index = 4;  // that this replica does not have yet
  replica_->receive(reply);
  turn();
  EXPECT_FALSE(replica_->idle());
  log_.appender->latched({BOP_E_LATCHED, "the disk failed"});
  turn();
  EXPECT_EQ(client_.answers, std::vector{BOP_E_LATCHED});
  EXPECT_TRUE(replica_->idle());
}

TEST_F(ReplicaTest, a_follower_answers_a_read_however_long_the_leader_takes_to_confirm_it) {
  ASSERT_TRUE(open(nullptr));
  hear(2, 2, 3);
  log_is_durable();
  query();
  turn();
  raft::Message reply = peers_.sent.back();
  ASSERT_EQ(reply.kind, raft::MessageKind::read_request);
  pass(900 * milliseconds);
  reply.kind = raft::MessageKind::read_reply;
  std::swap(reply.from, reply.to);
  reply.ok = true;
  reply.index = 3;
  replica_->receive(reply);
  turn();
  EXPECT_EQ(client_.answers, std::vector{BOP_OK});
}

TEST_F(ReplicaTest, a_leader_answers_a_read_however_long_its_followers_take_to_confirm_it) {
  ASSERT_TRUE(open(nullptr));
  win();
  log_is_durable();
  raft::Message reply = follower_has_all();
  query();
  turn();
  ASSERT_EQ(peers_.sent.back().kind, raft::MessageKind::append_request);
  reply.round = peers_.sent.back().round;
  pass(900 * milliseconds);
  ASSERT_TRUE(client_.answers.empty());
  replica_->receive(reply);
  turn();
  EXPECT_EQ(client_.answers, std::vector{BOP_OK});
}

// A turn that answered all of them would last so long that the others elect another leader.
TEST_F(ReplicaTest, answers_reads_of_large_answers_in_several_turns) {
  ASSERT_TRUE(open(nullptr));
  win();
  log_is_durable();
  raft::Message reply = follower_has_all();
  answer_bytes = 1 << 20;
  for (int i = 0; i < 10; ++i) query();
  turn();
  reply.round = peers_.sent.back().round;
  replica_->receive(reply);
  turn();
  EXPECT_EQ(client_.answers.size(), 4u);
  // The next turn is asked for.
  timers_.fire_all();
  turn();
  EXPECT_EQ(client_.answers.size(), 8u);
  timers_.fire_all();
  turn();
  EXPECT_EQ(client_.answers, std::vector(10, BOP_OK));
}

TEST_F(ReplicaTest, a_read_that_the_machine_does_not_answer_is_completed_at_its_deadline) {
  ASSERT_TRUE(open(nullptr));
  win();
  log_is_durable();
  raft::Message reply = follower_has_all();
  answers_later = true;
  query();
  turn();
  reply.round = peers_.sent.back().round;
  replica_->receive(reply);
  turn();
  ASSERT_EQ(pending_queries.size(), 1u);
  EXPECT_TRUE(client_.answers.empty());
  pass(61 * seconds);
  EXPECT_EQ(client_.answers, std::vector{BOP_E_TIMEOUT});
  EXPECT_FALSE(replica_->idle()) << "the machine still has the query";
  const bop_reply late{sizeof(bop_reply), BOP_OK, {nullptr, 0}};
  machine_host->complete(machine_host->context, pending_queries[0], BOP_OK, &late, 1);
  turn();
  EXPECT_EQ(client_.answers.size(), 1u) << "and what it replies later is nobody's";
  EXPECT_TRUE(replica_->idle());
}

TEST_F(ReplicaTest, tells_the_machine_of_a_query_some_queries_before_it) {
  ASSERT_TRUE(open(nullptr));
  win();
  log_is_durable();
  raft::Message reply = follower_has_all();
  for (int i = 0; i < 20; ++i) query(std::to_string(i));
  turn();
  reply.round = peers_.sent.back().round;
  replica_->receive(reply);
  turn();
  ASSERT_EQ(questions.size(), 20u);
  ASSERT_FALSE(expected_questions.empty());
  const size_t ahead = questions.size() - expected_questions.size();
  EXPECT_TRUE(std::ranges::equal(expected_questions, std::span(questions).subspan(ahead)));
}

TEST_F(ReplicaTest, a_read_without_a_leader_is_passed_to_the_core_again_when_there_is_one) {
  ASSERT_TRUE(open(nullptr));
  query();
  turn();
  EXPECT_TRUE(peers_.sent.empty());
  hear(2, 2, 3);
  pass(40 * milliseconds);
  ASSERT_FALSE(peers_.sent.empty());
  EXPECT_EQ(peers_.sent.back().kind, raft::MessageKind::read_request);
}

TEST_F(ReplicaTest,
       what_was_forwarded_to_the_leader_of_another_term_is_refused_and_a_repetition_dropped) {
  ASSERT_TRUE(open(nullptr));
  win();
  const auto forwarded = [this](uint64_t sequence, Term term) {
    replica_->receive_forward(3, {.origin_epoch = 1,
                                  .sequence = sequence,
                                  .term = term,
                                  .time_left = 60 * seconds,
                                  .payload = mem::Buffer::copy(as_bytes("command"))});
    turn();
  };
  const Index last = replica_->core()->last();
  forwarded(1, 1);
  EXPECT_EQ(peers_.replies, std::vector{BOP_E_NOT_LEADER});
  EXPECT_EQ(replica_->core()->last(), last);
  forwarded(2, 2);
  forwarded(2, 2);
  EXPECT_EQ(replica_->core()->last(), last + 1);
  EXPECT_EQ(peers_.replies.size(), 1u);
}

// Nothing commits without the leader's first entry, which comes behind what earlier leaders left uncommitted.
TEST_F(ReplicaTest, uncommitted_commands_of_earlier_terms_do_not_wait_for_space_in_the_log) {
  ASSERT_TRUE(open(nullptr));
  const auto commands_can_wait = [this](Term term, Index commit) {
    Entry entry;
    entry.kind = EntryKind::command;
    entry.term = term;
    entry.index = 2;
    raft::Message message;
    message.kind = raft::MessageKind::append_request;
    message.from = 2;
    message.to = 1;
    message.term = 9;
    message.log_term = 1;
    message.index = 1;
    message.commit = commit;
    message.entries = {&entry, 1};
    replica_->receive(message);
    turn();
    return log_.reserved_commands;
  };
  EXPECT_TRUE(commands_can_wait(9, 1)) << "the leader's own";
  EXPECT_FALSE(commands_can_wait(8, 1));
  EXPECT_TRUE(commands_can_wait(8, 2)) << "committed: it lacks them, and the group goes on";
}

// The leader sends both, again and again, and a follower that takes neither never learns what is committed.
TEST_F(ReplicaTest, a_full_log_takes_the_leaders_first_entry_before_commands_that_come_with_it) {
  ASSERT_TRUE(open(nullptr));
  log_.takes_no_commands = BOP_E_DISK_FULL;
  hear(2, 2, 1);
  EXPECT_EQ(log_.terms, (std::vector<Term>{1, 2}));
  log_.takes_no_commands = BOP_OK;
  hear(2, 2, 1);
  EXPECT_EQ(log_.terms, (std::vector<Term>{1, 2, 2}));
}

TEST_F(ReplicaTest, a_write_that_a_full_log_held_back_is_written_unchanged_when_there_is_space) {
  ASSERT_TRUE(open(nullptr));
  log_.full = true;
  hear(2, 2, 1);
  hear(2, 2, 1, 4, 2);
  hear(3, 3, 1, 3, 2);  // replaces all but the first of them
  EXPECT_EQ(log_.terms, std::vector<Term>{1});
  log_.full = false;
  timers_.fire_all();
  EXPECT_EQ(log_.terms, (std::vector<Term>{1, 2, 3, 3}));
  EXPECT_EQ(log_.hard.term, 3u);
  log_is_durable();
  EXPECT_EQ(replica_->core()->durable(), 4u);
  // The replica still works.
  hear(3, 3, 1, 5, 3);
  EXPECT_EQ(log_.terms.size(), 6u);
}

}  // namespace
}  // namespace bop::group

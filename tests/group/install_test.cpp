// A replica installs a snapshot: from the leader's offer to the acknowledgement.
#include <gtest/gtest.h>

#include "group/checkpoint.h"
#include "group/replica.h"
#include "manual_offload.h"
#include "memory_machine.h"
#include "raft/configuration.h"
#include "sim/disk.h"

namespace bop::group {
namespace {

struct Clock final : port::Clock {
  Instant now() const override { return now_ns; }
  int64_t wall_ns() const override { return now_ns; }
  Instant now_ns = 1 * seconds;
};

struct Timers final : port::Timers {
  struct One final : port::Timer {
    void arm(Instant) override {}
    void cancel() override {}
  };
  std::unique_ptr<port::Timer> make_timer(std::function<void()>) override {
    return std::make_unique<One>();
  }
};

struct Log final : log::Log {
  const log::Recovery& recovery() const override { return recovery_; }
  void attach(GroupId, log::Appender* appender) override { this->appender = appender; }
  Status append(const log::Append& append) override {
    number = append.number;
    for (const auto& piece : append.entries)
      for (const raft::Entry& entry : piece) entries[entry.index] = entry;
    return {};
  }
  Status append_checkpoint(GroupId, raft::EntryId, Bytes) override { return {}; }
  Status restart(const log::Restart& restart) override {
    if (fails) return fail(BOP_E_LATCHED, "the log is latched");
    restarts.push_back(restart);
    checkpoint.assign(restart.checkpoint.begin(), restart.checkpoint.end());
    entries.clear();
    return {};
  }
  void flush() override {}
  Status reserve(GroupId, size_t, bool) override { return full ? fail(BOP_E_LOG_FULL) : Status(); }
  size_t largest_payload() const override { return 1 << 20; }
  void read(GroupId, Index first, size_t,
            std::function<void(Result<std::vector<raft::Entry>>)> done) override {
    reads.push_back([this, first, done = std::move(done)] {
      const auto found = entries.find(first);
      if (found == entries.end()) return done(fail(BOP_E_NOT_FOUND));
      done(std::vector<raft::Entry>{found->second});
    });
  }
  void compact(GroupId, raft::EntryId) override {}
  void drop_checkpoints(GroupId, Index) override {}
  bool healthy(Instant, Duration) const override { return true; }
  bool idle() const override { return true; }
  uint64_t used_bytes() const override { return 0; }
  Capacity capacity() const override { return {}; }
  bool crowded() const override { return false; }
  const Counters& counters() const override { return counters_; }
  void set_max_bytes(uint64_t) override {}
  void check() const override {}

  log::Appender* appender = nullptr;
  uint64_t number = 0;
  std::map<Index, raft::Entry> entries;
  std::vector<std::function<void()>> reads;
  bool full = false, fails = false;
  std::vector<log::Restart> restarts;
  std::vector<uint8_t> checkpoint;

 private:
  log::Recovery recovery_;
  Counters counters_;
};

struct Peers final : Host {
  void schedule(Replica&) override { scheduled = true; }
  void send(GroupId, const raft::Message& message) override { sent.push_back(message); }
  bool forward(NodeId, GroupId, const Forward&) override { return false; }
  void reply_forward(NodeId, GroupId, const ForwardReply&) override {}
  bool scheduled = false;
  std::vector<raft::Message> sent;
};

class Client final : public port::Completion {
 public:
  void complete(uint64_t token, const Outcome& outcome) override {
    answers[token] = outcome.status;
    bodies[token] = std::string(as_text(outcome.body));
  }
  std::map<uint64_t, bop_status> answers;
  std::map<uint64_t, std::string> bodies;
};

// Node 2 of three; node 1 leads term 1. The snapshot is on its disk already, as after a fetch.
class InstallTest : public testing::Test {
 protected:
  static constexpr const char* snapshots_directory = "shard0/snap/group-7";

  void SetUp() override {
    options_.id = 7;
    options_.name = "g";
    options_.configuration = {{1, 2, 3}, {}};
    options_.raft.self = 2;
    options_.machine = &table_;
    options_.snapshot_directory = snapshots_directory;
    options_.directory_of = [](uint64_t instance) {
      return "shard0/group-7/" + std::to_string(instance);
    };
    snapshot_ = make_snapshot();
    auto opened = Replica::open(options_,
                                {.clock = clock_,
                                 .timers = timers_,
                                 .log = log_,
                                 .host = peers_,
                                 .offload = offload_,
                                 .files = &disk_,
                                 .snapshot_budget = &budget_},
                                nullptr);
    ASSERT_TRUE(opened) << opened.error().to_string();
    replica_ = std::move(*opened);
    replica_->durable(0);
    replica_->start();
    turn();
    append(1, {});
  }
  raft::SnapshotRef make_snapshot() {
    auto snapshots = snapshot::Snapshots::open(disk_, snapshots_directory);
    EXPECT_TRUE(snapshots);
    snapshot::Manifest manifest;
    manifest.group = 7;
    manifest.index = 30;
    manifest.term = 1;
    manifest.time_ns = 55;
    manifest.kind = "memory";
    manifest.version = 1;
    const mem::Buffer configuration = raft::encode_configuration(options_.configuration);
    manifest.configuration = {configuration.data(), configuration.data() + configuration.size()};
    manifest.configuration_index = 1;
    auto writer = snapshots->begin_part();
    EXPECT_TRUE(writer && writer->append(as_bytes("a=1\nb=2\n")));
    auto part = snapshots->publish(std::move(*writer), "a");
    EXPECT_TRUE(part);
    manifest.parts.push_back(*part);
    EXPECT_TRUE(snapshots->commit(manifest));
    return {{1, 30}, snapshots->list().back().id};
  }
  void turn() {
    do {
      peers_.scheduled = false;
      replica_->step();
      replica_->finish();
    } while (peers_.scheduled);
  }
  // The replica's jobs and turns, until nothing happens any more.
  void settle() {
    turn();
    while (!offload_.idle() || !log_.reads.empty()) {
      offload_.run();
      for (const auto& read : std::exchange(log_.reads, {})) read();
      turn();
    }
  }
  void durable() {
    replica_->durable(log_.number);
    turn();
  }
  raft::Message message(raft::MessageKind kind) {
    raft::Message out;
    out.kind = kind;
    out.from = 1;
    out.to = 2;
    out.term = 1;
    return out;
  }
  // An append behind entry `index`, or without entries: a heartbeat.
  void append(Index index, std::vector<std::string> commands, Index commit = 1) {
    std::vector<raft::Entry> entries;
    for (const std::string& command : commands) {
      raft::Entry entry;
      entry.term = 1;
      entry.index = index + entries.size() + 1;
      entry.kind = raft::EntryKind::command;
      entry.machine_version = 1;
      entry.payload = mem::Buffer::copy(as_bytes(command));
      entries.push_back(entry);
    }
    raft::Message out = message(raft::MessageKind::append_request);
    out.index = index;
    out.log_term = 1;
    out.commit = commit;
    out.entries = entries;
    replica_->receive(out);
    turn();
  }
  void offer() {
    raft::Message out = message(raft::MessageKind::snapshot_offer);
    out.index = snapshot_.at.index;
    out.log_term = snapshot_.at.term;
    out.snapshot = snapshot_.id;
    replica_->receive(out);
    turn();
  }
  Index acknowledged() const {
    for (auto sent = peers_.sent.rbegin(); sent != peers_.sent.rend(); ++sent)
      if (sent->kind == raft::MessageKind::append_reply && sent->ok) return sent->match;
    return 0;
  }

  Clock clock_;
  Timers timers_;
  Log log_;
  Peers peers_;
  sim::Disk disk_{1};
  machine::ManualOffload offload_;
  machine::test::MemoryTable table_;
  TokenBucket budget_{1'000'000'000, 1 << 20, 0};
  ReplicaOptions options_;
  raft::SnapshotRef snapshot_;
  Client client_;
  std::unique_ptr<Replica> replica_;
};

TEST_F(InstallTest, the_log_restarts_with_the_instance_and_is_acknowledged_once_that_is_durable) {
  offer();
  EXPECT_TRUE(replica_->status().installing);
  EXPECT_TRUE(log_.restarts.empty());
  settle();
  ASSERT_EQ(log_.restarts.size(), 1u);
  EXPECT_EQ(log_.restarts[0].at, snapshot_.at);
  EXPECT_EQ(log_.restarts[0].time_ns, 55);
  const auto checkpoint = decode_checkpoint(snapshot_.at, log_.checkpoint);
  ASSERT_TRUE(checkpoint);
  EXPECT_EQ(checkpoint->instance, 2u);
  EXPECT_EQ(checkpoint->configuration, options_.configuration);
  EXPECT_EQ(checkpoint->configuration_index, 1u);
  EXPECT_EQ(checkpoint->machine, "memory");
  const Replica::Status status = replica_->status();
  EXPECT_EQ(status.applied, 30u);
  EXPECT_EQ(status.commit, 30u);
  EXPECT_EQ(status.last, 30u);
  EXPECT_EQ(status.first, 31u);
  EXPECT_FALSE(status.installing);
  EXPECT_FALSE(status.halted);
  EXPECT_LT(acknowledged(), 30u);
  durable();
  EXPECT_EQ(acknowledged(), 30u);
  EXPECT_EQ(replica_->status().durable, 30u);
}

TEST_F(InstallTest, entries_go_on_behind_the_snapshot_in_the_new_machine) {
  offer();
  settle();
  durable();
  append(30, {"c=3", "a=9"}, 32);
  durable();
  append(32, {}, 32);
  settle();
  EXPECT_EQ(replica_->status().applied, 32u);
  EXPECT_EQ(table_.opened->state,
            (std::map<std::string, std::string>{{"a", "9"}, {"b", "2"}, {"c", "3"}}));
}

TEST_F(InstallTest, the_old_machine_serves_until_the_new_one_takes_its_place) {
  append(1, {"a=old"}, 1);
  durable();
  append(2, {}, 2);
  settle();
  EXPECT_EQ(replica_->status().applied, 2u);
  offer();
  for (int step = 0; step < 3; ++step) {
    EXPECT_EQ(replica_->machine().applied().index, 2u);
    offload_.step(machine::Offload::WorkQueue::bulk);
    turn();
  }
  settle();
  EXPECT_EQ(replica_->machine().applied().index, 30u);
  durable();
  EXPECT_EQ(acknowledged(), 30u);
}

TEST_F(InstallTest, it_waits_for_space_in_the_log) {
  log_.full = true;
  offer();
  settle();
  EXPECT_TRUE(log_.restarts.empty());
  EXPECT_TRUE(replica_->status().installing);
  log_.full = false;
  append(1, {});
  ASSERT_EQ(log_.restarts.size(), 1u);
  EXPECT_EQ(replica_->status().applied, 30u);
}

TEST_F(InstallTest, a_log_that_does_not_take_the_record_halts_the_replica) {
  log_.fails = true;
  offer();
  settle();
  ASSERT_TRUE(replica_->status().halted);
  EXPECT_EQ(replica_->status().halted->code, BOP_E_LATCHED);
}

TEST_F(InstallTest, a_replica_that_is_past_the_snapshot_by_then_keeps_its_log_and_machine) {
  offer();
  std::vector<std::string> commands;
  for (int i = 2; i <= 35; ++i) commands.push_back("k=" + std::to_string(i));
  append(1, commands, 35);
  settle();
  EXPECT_TRUE(log_.restarts.empty());
  EXPECT_EQ(replica_->status().applied, 35u);
  EXPECT_EQ(replica_->status().first, 1u);
  EXPECT_EQ(replica_->machine().applied().index, 35u);
}

}  // namespace
}  // namespace bop::group

// A replica whose machine keeps its state in memory alone, with its log and its snapshots on one simulated disk: what is
// left of it after a restart.
#include "../log/rig.h"
#include "group/replica.h"
#include "manual_offload.h"
#include "memory_machine.h"

namespace bop::group {
namespace {

using machine::test::text;

class NoPeers final : public Host {
 public:
  void schedule(Replica&) override {}
  void send(GroupId, const raft::Message&) override {}
  bool forward(NodeId, GroupId, const Forward&) override { return false; }
  void reply_forward(NodeId, GroupId, const ForwardReply&) override {}
};

class Answers final : public port::Completion {
 public:
  void complete(uint64_t, const Outcome& outcome) override {
    statuses.push_back(outcome.status);
    bodies.emplace_back(as_text(outcome.body));
  }
  std::vector<bop_status> statuses;
  std::vector<std::string> bodies;
};

class MemoryReplicaTest : public testing::Test {
 protected:
  static constexpr const char* directory = "snap";

  MemoryReplicaTest() {
    rig_.options.segment_bytes = 256u << 10;
    options_.id = 1;
    options_.name = "memory";
    options_.configuration.voters = {1};
    options_.raft.self = 1;
    options_.machine = &table_;
    options_.cluster = {7};
    options_.snapshot_directory = directory;
    options_.limits.snapshot_bytes = 1 << 20;
    options_.limits.checkpoint_bytes = 16 << 10;
    rig_.open(true);
    open();
  }
  ~MemoryReplicaTest() override { replica_.reset(); }

  Status try_open() {
    options_.epoch = rig_.log->recovery().epoch;
    BOP_TRY_ASSIGN(replica_, Replica::open(options_,
                                           {.clock = rig_.clock,
                                            .timers = rig_.timers,
                                            .log = *rig_.log,
                                            .host = host_,
                                            .offload = offload_,
                                            .files = &rig_.disk},
                                           rig_.found(1)));
    turns_until([this] { return replica_->opened(); });
    return {};
  }
  void open() {
    ASSERT_TRUE(try_open());
    ASSERT_TRUE(replica_->opened());
    replica_->start();
    turns_until([this] { return replica_->leads() && replica_->ready(); });
  }
  void restart(bool power_loss = true) {
    replica_.reset();
    offload_ = {};
    power_loss ? rig_.cut_power() : rig_.kill();
    rig_.open();
    open();
  }
  void turn() {
    replica_->step();
    replica_->finish();
    rig_.log->flush();
    replica_->check();
    for (int steps = 0; steps < 50 && rig_.step(); ++steps) {
    }
    offload_.run();
  }
  template <class Done>
  void turns_until(Done done) {
    for (int turns = 0; !done() && turns < 5000; ++turns) {
      turn();
      rig_.clock.now_ += 1 * milliseconds;
    }
    ASSERT_TRUE(done());
  }
  void settle() {
    for (int turns = 0; turns < 20; ++turns) turn();
  }
  void put(const std::string& command) {
    const size_t before = answers_.statuses.size();
    replica_->propose({.group = 1,
                       .payload = mem::Buffer::copy(as_bytes(command)),
                       .deadline = rig_.clock.now() + 60 * seconds,
                       .completion = &answers_,
                       .token = 1});
    turns_until([&] { return answers_.statuses.size() > before; });
    ASSERT_EQ(answers_.statuses.back(), BOP_OK);
  }
  std::string get(const std::string& key) {
    const size_t before = answers_.statuses.size();
    replica_->query({.group = 1,
                     .payload = mem::Buffer::copy(as_bytes(key)),
                     .deadline = rig_.clock.now() + 60 * seconds,
                     .completion = &answers_,
                     .token = 1});
    turns_until([&] { return answers_.statuses.size() > before; });
    return answers_.statuses.back() == BOP_OK ? answers_.bodies.back() : "(none)";
  }
  Result<snapshot::Stored> take() {
    std::optional<Result<snapshot::Stored>> result;
    replica_->take_snapshot([&](const Result<snapshot::Stored>& taken) { result = taken; });
    turns_until([&] { return result.has_value(); });
    return *result;
  }
  // Writes about so many bytes of entries.
  void load(size_t bytes) {
    static int number = 0;
    for (size_t written = 0; written < bytes; written += 10'000)
      put("key " + std::to_string(++number % 20) + "=" + std::string(10'000, 'v'));
  }
  void damage_all_parts() {
    const std::string parts = std::string(directory) + "/parts";
    const auto names = rig_.disk.list_now(parts);
    ASSERT_TRUE(names && !names->empty());
    for (const std::string& name : *names)
      if (name != "new") rig_.disk.flip_bit(parts + "/" + name, 1, 0);
  }

  log::testing::Rig rig_;
  machine::ManualOffload offload_;
  machine::test::MemoryTable table_;
  NoPeers host_;
  Answers answers_;
  ReplicaOptions options_;
  std::unique_ptr<Replica> replica_;
};

TEST_F(MemoryReplicaTest, applies_its_whole_log_again_while_it_has_no_snapshot) {
  put("a=1");
  put("b=2");
  EXPECT_EQ(replica_->status().machine_durable, 0u);
  EXPECT_FALSE(replica_->status().snapshot);
  restart();
  EXPECT_EQ(get("a"), "1");
  EXPECT_EQ(get("b"), "2");
}

TEST_F(MemoryReplicaTest, is_restored_from_its_snapshot_and_the_entries_after_it) {
  put("a=1");
  const auto taken = take();
  ASSERT_TRUE(taken) << taken.error().to_string();
  EXPECT_EQ(replica_->status().machine_durable, taken->index);
  ASSERT_TRUE(replica_->status().snapshot);
  EXPECT_EQ(replica_->status().snapshot->id, taken->id);
  put("a=2");
  put("b=3");
  restart();
  EXPECT_EQ(replica_->status().machine_durable, taken->index);
  EXPECT_EQ(get("a"), "2");
  EXPECT_EQ(get("b"), "3");
}

TEST_F(MemoryReplicaTest, completes_a_restore_whose_calls_end_later) {
  table_.later = true;
  put("a=1");
  ASSERT_TRUE(take());
  restart();
  EXPECT_EQ(get("a"), "1");
}

TEST_F(MemoryReplicaTest, takes_snapshots_by_bytes_so_that_its_log_is_compacted) {
  load(8 << 20);
  settle();
  const Replica::Status status = replica_->status();
  EXPECT_GT(status.machine_durable, 500u);
  EXPECT_GT(status.first, 400u);
  EXPECT_LE(rig_.log->used_bytes(), 6u << 20);
  ASSERT_TRUE(status.snapshot);
  EXPECT_EQ(rig_.disk.list_now(directory)->size(), 3u) << "two manifests and the parts";
  const std::string value = get("key 3");
  restart();
  EXPECT_EQ(get("key 3"), value);
}

TEST_F(MemoryReplicaTest, takes_a_snapshot_of_an_entry_that_is_old_enough) {
  options_.limits.snapshot_age = 10 * seconds;
  restart();
  put("a=1");
  settle();
  EXPECT_FALSE(replica_->status().snapshot);
  rig_.clock.now_ += 11 * seconds;
  settle();
  EXPECT_TRUE(replica_->status().snapshot);
}

TEST_F(MemoryReplicaTest, takes_a_snapshot_after_so_many_entries) {
  options_.limits.snapshot_entries = 30;
  restart();
  for (int i = 0; i < 100; ++i) put("a=" + std::to_string(i));
  settle();
  ASSERT_TRUE(replica_->status().snapshot);
  EXPECT_GT(replica_->status().snapshot->index, 60u);
}

TEST_F(MemoryReplicaTest, tries_again_when_the_disk_was_full) {
  options_.limits.snapshot_entries = 30;
  restart();
  table_.snapshot_status = BOP_E_DISK_FULL;
  for (int i = 0; i < 50; ++i) put("a=" + std::to_string(i));
  settle();
  EXPECT_FALSE(replica_->status().snapshot);
  rig_.clock.now_ += 11 * seconds;
  settle();
  EXPECT_TRUE(replica_->status().snapshot);
}

// At any step of it.
TEST_F(MemoryReplicaTest, loses_nothing_when_it_ends_while_it_takes_a_snapshot) {
  put("a=0");
  ASSERT_TRUE(take());
  for (int steps = 0; steps < 30; ++steps) {
    SCOPED_TRACE(steps);
    const std::string value = std::to_string(steps);
    put("a=" + value);
    replica_->take_snapshot([](const auto&) {});
    for (int step = 0; step < steps; ++step)
      if (!offload_.step(machine::Offload::WorkQueue::bulk)) turn();
    restart(steps % 2 == 0);
    ASSERT_EQ(get("a"), value);
  }
}

TEST_F(MemoryReplicaTest, uses_the_older_snapshot_while_the_log_still_has_what_follows_it) {
  put("a=1");
  const auto older = take();
  put("a=2");
  ASSERT_TRUE(take());
  const auto names = rig_.disk.list_now(std::string(directory) + "/parts");
  ASSERT_EQ(names->size(), 2u);
  // One of them is the part of the newer one: with it the older is used, with the other the newer stays whole.
  for (const std::string& name : *names) {
    rig_.disk.flip_bit(std::string(directory) + "/parts/" + name, 1, 0);
    restart();
    EXPECT_EQ(get("a"), "2");
  }
  EXPECT_EQ(replica_->status().machine_durable, 0u) << "no snapshot was left";
}

TEST_F(MemoryReplicaTest, is_halted_by_name_without_a_snapshot_of_what_its_log_has_compacted) {
  load(8 << 20);
  settle();
  ASSERT_GT(replica_->status().first, 100u);
  replica_.reset();
  rig_.close();
  damage_all_parts();
  rig_.open();
  ASSERT_TRUE(try_open());
  const auto halted = replica_->status().halted;
  ASSERT_TRUE(halted);
  EXPECT_EQ(halted->code, BOP_E_DAMAGED);
  EXPECT_NE(halted->detail.find("snap/parts/"), std::string::npos) << halted->detail;
}

TEST_F(MemoryReplicaTest, refuses_the_snapshot_of_another_cluster) {
  put("a=1");
  ASSERT_TRUE(take());
  options_.cluster = {8};
  restart();
  EXPECT_EQ(replica_->status().machine_durable, 0u);
  EXPECT_EQ(get("a"), "1") << "from the log";
}

TEST_F(MemoryReplicaTest, lists_and_verifies_its_snapshots) {
  std::optional<Result<std::vector<snapshot::Stored>>> list;
  std::optional<Result<std::optional<snapshot::Stored>>> verified;
  const auto look = [&] {
    list.reset();
    verified.reset();
    SnapshotTaker& snapshots = **replica_->snapshots();
    snapshots.list([&](auto result) { list = std::move(result); });
    snapshots.verify([&](auto result) { verified = std::move(result); });
    turns_until([&] { return list && verified; });
  };
  look();
  EXPECT_TRUE((*list)->empty());
  EXPECT_FALSE(**verified);
  EXPECT_FALSE(rig_.disk.list_now(directory)) << "looking made a directory";
  for (const char* command : {"a=1", "b=2", "c=3"}) {
    put(command);
    ASSERT_TRUE(take());
  }
  look();
  EXPECT_EQ((*list)->size(), 2u);
  ASSERT_TRUE(*verified && **verified);
  EXPECT_EQ((**verified)->id, (*list)->back().id);
  damage_all_parts();
  look();
  ASSERT_FALSE(*verified);
  EXPECT_EQ(verified->error().code, BOP_E_DAMAGED);
}

}  // namespace
}  // namespace bop::group

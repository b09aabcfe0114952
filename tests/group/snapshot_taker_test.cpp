#include "group/snapshot_taker.h"

#include <gtest/gtest.h>

#include "manual_offload.h"
#include "memory_machine.h"
#include "sim/disk.h"

namespace bop::group {
namespace {

using machine::ManualOffload;
using Queue = machine::Offload::WorkQueue;

struct NoEvents final : machine::DriverEvents {
  void applied(std::span<const bop_reply>) override {}
  void answered(uint64_t, const bop_reply& reply) override {
    answer = machine::test::text(reply.body);
  }
  void failed(const Error& error) override { failure = error.to_string(); }
  std::string answer, failure;
};

struct NoRestoreEvents final : machine::RestoreEvents {
  void restored(const Status& status) override { results.push_back(status.has_value()); }
  std::vector<bool> results;
};

// With both ways in which a machine completes its calls.
class SnapshotTakerTest : public testing::TestWithParam<bool> {
 protected:
  static constexpr const char* directory = "shard0/snap/group-7";

  void SetUp() override {
    table_.later = GetParam();
    driver_ = open_machine();
    for (const char* command : {"a=1", "b=2", "c=3", "d=4", "e=5"}) apply(command);
    make_taker();
  }
  std::unique_ptr<machine::Driver> open_machine() {
    machine::DriverOptions options;
    options.group = "g";
    auto driver = machine::Driver::open(table_, options, offload_, events_);
    EXPECT_TRUE(driver);
    return std::move(*driver);
  }
  void make_taker() {
    taker_.emplace(
        SnapshotTaker::Options{.cluster = {}, .group = 7, .name = "g", .directory = directory},
        disk_, offload_, [](Index) {
          return SnapshotTaker::Facts{
              .time_ns = 123, .configuration_index = 1, .configuration = {2, 0}};
        });
    taker_->open();
    taker_->stable(1000);
    offload_.run();
  }
  void apply(const std::string& command) {
    bop_entry entry{};
    entry.size = sizeof entry;
    entry.index = ++index_;
    entry.term = 4;
    entry.command = machine::test::bytes_of(command);
    driver_->apply({&entry, 1});
  }
  void take() {
    result_.reset();
    taker_->take(*driver_, [this](const Result<snapshot::Stored>& result) {
      EXPECT_FALSE(result_.has_value()) << "called twice";
      result_ = result;
    });
  }
  // The state in the newest snapshot on disk.
  std::map<std::string, std::string> restored() {
    auto snapshots = snapshot::Snapshots::open(disk_, directory);
    EXPECT_TRUE(snapshots && !snapshots->list().empty());
    const auto manifest = snapshots->manifest(snapshots->list().back());
    EXPECT_TRUE(manifest);
    const auto fresh = open_machine();
    EXPECT_TRUE(fresh->begin_restore(
        {.kind = manifest->kind, .version = manifest->version, .bytes = manifest->bytes()},
        restores_));
    offload_.run();
    for (const snapshot::Part& part : manifest->parts) {
      const auto bytes = snapshots->load(part);
      EXPECT_TRUE(bytes);
      bop_part given{};
      given.size = sizeof given;
      given.kind = BOP_PART_BYTES;
      given.label = machine::test::bytes_of(part.label);
      given.bytes = {bytes->data(), bytes->size()};
      fresh->restore_part(given);
      offload_.run();
    }
    fresh->finish_restore({manifest->index, manifest->term});
    offload_.run();
    EXPECT_EQ(fresh->applied().index, manifest->index);
    return table_.opened->state;
  }

  sim::Disk disk_{1};
  ManualOffload offload_;
  machine::test::MemoryTable table_;
  NoEvents events_;
  NoRestoreEvents restores_;
  std::unique_ptr<machine::Driver> driver_;
  std::optional<SnapshotTaker> taker_;
  std::optional<Result<snapshot::Stored>> result_;
  uint64_t index_ = 10;
};

INSTANTIATE_TEST_SUITE_P(Machine, SnapshotTakerTest, testing::Bool(), [](const auto& test) {
  return test.param ? "completes_later" : "completes_at_once";
});

TEST_P(SnapshotTakerTest, a_snapshot_has_the_state_and_what_the_log_knows_of_its_entry) {
  take();
  EXPECT_TRUE(taker_->taking());
  offload_.run();
  ASSERT_TRUE(result_ && *result_) << result_->error().to_string();
  EXPECT_EQ((*result_)->index, 15u);
  EXPECT_EQ((*result_)->term, 4u);
  EXPECT_EQ((*result_)->parts, 3u);
  EXPECT_EQ((*result_)->bytes, 20u);
  EXPECT_FALSE(taker_->taking());
  ASSERT_TRUE(taker_->newest());
  EXPECT_EQ(taker_->newest()->id, (*result_)->id);
  const auto snapshots = snapshot::Snapshots::open(disk_, directory);
  const auto manifest = snapshots->manifest(snapshots->list().at(0));
  EXPECT_EQ(manifest->time_ns, 123);
  EXPECT_EQ(manifest->configuration_index, 1u);
  EXPECT_EQ(manifest->configuration, (std::vector<uint8_t>{2, 0}));
  EXPECT_EQ(manifest->kind, "memory");
  EXPECT_EQ(restored(), (std::map<std::string, std::string>{
                            {"a", "1"}, {"b", "2"}, {"c", "3"}, {"d", "4"}, {"e", "5"}}));
}

TEST_P(SnapshotTakerTest, the_machine_serves_meanwhile_and_later_entries_are_not_in_the_snapshot) {
  take();
  for (int step = 0; step < 4; ++step) offload_.step(Queue::bulk);
  apply("a=new");
  apply("f=6");
  driver_->query(as_bytes("f"), 1);
  EXPECT_EQ(events_.answer, "6");
  offload_.run();
  ASSERT_TRUE(result_ && *result_);
  EXPECT_EQ((*result_)->index, 15u);
  const auto state = restored();
  EXPECT_EQ(state.at("a"), "1");
  EXPECT_FALSE(state.contains("f"));
}

TEST_P(SnapshotTakerTest, exists_only_when_the_log_cannot_lose_its_entry_any_more) {
  index_ = 2000;
  apply("g=7");
  take();
  offload_.run();
  EXPECT_TRUE(taker_->taking());
  taker_->stable(2000);
  offload_.run();
  EXPECT_FALSE(result_.has_value());
  EXPECT_TRUE(snapshot::Snapshots::open(disk_, directory)->list().empty());
  taker_->stable(2001);
  offload_.run();
  ASSERT_TRUE(result_ && *result_);
  EXPECT_EQ((*result_)->index, 2001u);
}

TEST_P(SnapshotTakerTest, one_is_taken_at_a_time) {
  take();
  std::optional<bop_status> second;
  taker_->take(*driver_, [&](const auto& result) { second = result.error().code; });
  EXPECT_EQ(second, BOP_E_OVERLOADED);
  offload_.run();
  EXPECT_TRUE(result_ && *result_);
}

TEST_P(SnapshotTakerTest, the_newest_two_are_kept_and_known_after_a_restart) {
  for (int i = 0; i < 4; ++i) {
    apply("n=" + std::to_string(i));
    take();
    offload_.run();
    ASSERT_TRUE(result_ && *result_);
  }
  const auto snapshots = snapshot::Snapshots::open(disk_, directory);
  ASSERT_EQ(snapshots->list().size(), 2u);
  EXPECT_EQ(snapshots->list()[0].index, 18u);
  EXPECT_EQ(snapshots->list()[1].index, 19u);
  make_taker();
  ASSERT_TRUE(taker_->newest());
  EXPECT_EQ(taker_->newest()->index, 19u);
}

TEST_P(SnapshotTakerTest, after_any_failure_of_the_disk_the_next_snapshot_is_taken) {
  using enum sim::DiskOperation;
  for (const sim::DiskOperation kind : {open, write, sync, rename, sync_directory}) {
    bool failed = true;
    std::string taken;
    for (uint64_t nth = 1; failed; ++nth) {
      taken = std::to_string(index_);
      apply("x=" + taken);
      disk_.fail(kind, BOP_E_DISK_FULL, nth);
      take();
      offload_.run();
      ASSERT_TRUE(result_.has_value());
      failed = !*result_;
      if (failed) {
        EXPECT_EQ(result_->error().code, BOP_E_DISK_FULL);
      }
      disk_.heal();
      EXPECT_FALSE(taker_->taking());
      ASSERT_LT(nth, 100u);
    }
    EXPECT_EQ(restored().at("x"), taken);
  }
  EXPECT_TRUE(events_.failure.empty());
}

TEST_P(SnapshotTakerTest, an_error_of_the_machine_ends_the_snapshot) {
  table_.snapshot_status = BOP_E_DISK_FULL;
  take();
  offload_.run();
  ASSERT_TRUE(result_.has_value());
  ASSERT_FALSE(*result_);
  EXPECT_EQ(result_->error().code, BOP_E_DISK_FULL);
  take();
  offload_.run();
  EXPECT_TRUE(result_ && *result_);
}

TEST_P(SnapshotTakerTest, a_cancelled_snapshot_leaves_nothing_behind_and_the_next_one_is_taken) {
  for (int steps = 0; steps < 12; ++steps) {
    take();
    for (int step = 0; step < steps; ++step) offload_.step(Queue::bulk);
    const bool ended = result_.has_value();
    taker_->cancel({BOP_E_STOPPED, "the replica halts"});
    ASSERT_TRUE(result_.has_value());
    if (!ended) {
      EXPECT_EQ(result_->error().code, BOP_E_STOPPED);
    }
    offload_.run();
  }
  take();
  offload_.run();
  EXPECT_TRUE(result_ && *result_);
  EXPECT_EQ(restored().size(), 5u);
}

TEST_P(SnapshotTakerTest, jobs_that_outlive_the_taker_do_nothing) {
  for (int steps = 0; steps < 12; ++steps) {
    make_taker();
    take();
    for (int step = 0; step < steps; ++step) offload_.step(Queue::bulk);
    taker_.reset();
    offload_.run();
  }
  EXPECT_TRUE(events_.failure.empty());
}

}  // namespace
}  // namespace bop::group

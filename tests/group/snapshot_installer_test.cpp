#include "group/snapshot_installer.h"

#include <gtest/gtest.h>

#include "manual_offload.h"
#include "memory_machine.h"
#include "sim/disk.h"

namespace bop::group {
namespace {

using Queue = machine::Offload::WorkQueue;

constexpr const char* snapshots_directory = "shard0/snap/group-7";
constexpr const char* instance_directory = "shard0/group-7/2";

// With both ways in which a machine completes its calls.
class SnapshotInstallerTest : public testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    table_.later = GetParam();
    make_snapshot();
    make_installer();
  }
  void make_snapshot() {
    auto snapshots = snapshot::Snapshots::open(disk_, snapshots_directory);
    ASSERT_TRUE(snapshots);
    snapshot::Manifest manifest;
    manifest.group = 7;
    manifest.index = 30;
    manifest.term = 4;
    manifest.kind = "memory";
    manifest.version = 1;
    manifest.configuration = {2};
    for (const char* bytes : {"a=1\nb=2\n", "c=3\n", "d=4\ne=5\n"}) {
      auto writer = snapshots->begin_part();
      ASSERT_TRUE(writer && writer->append(as_bytes(bytes)));
      auto part = snapshots->publish(std::move(*writer), std::string(bytes, 1));
      ASSERT_TRUE(part);
      manifest.parts.push_back(*part);
    }
    ASSERT_TRUE(snapshots->commit(manifest));
    id_ = snapshots->list().back().id;
  }
  void make_installer(GroupId group = 7) {
    installer_ = nullptr;
    files_ = std::make_shared<SnapshotFiles>(disk_, snapshots_directory);
    installer_ = std::make_unique<SnapshotInstaller>(
        SnapshotInstaller::Options{
            .cluster = {}, .group = group, .name = "g", .machine = &table_, .machine_options = {}},
        files_, offload_);
  }
  void install() {
    result_.reset();
    installer_->install(id_, 2, instance_directory,
                        [this](Result<SnapshotInstaller::Installed> result) {
                          EXPECT_FALSE(result_.has_value()) << "called twice";
                          result_ = std::move(result);
                        });
  }

  sim::Disk disk_{1};
  machine::ManualOffload offload_;
  machine::test::MemoryTable table_;
  Hash128 id_;
  std::shared_ptr<SnapshotFiles> files_;
  std::unique_ptr<SnapshotInstaller> installer_;
  std::optional<Result<SnapshotInstaller::Installed>> result_;
};

INSTANTIATE_TEST_SUITE_P(Machine, SnapshotInstallerTest, testing::Bool(), [](const auto& test) {
  return test.param ? "completes_later" : "completes_at_once";
});

TEST_P(SnapshotInstallerTest, a_fresh_machine_gets_the_state_of_the_snapshot) {
  install();
  EXPECT_TRUE(installer_->installing());
  offload_.run();
  ASSERT_TRUE(result_ && *result_) << result_->error().to_string();
  EXPECT_FALSE(installer_->installing());
  const SnapshotInstaller::Installed& installed = **result_;
  EXPECT_EQ(installed.driver->applied().index, 30u);
  EXPECT_EQ(installed.driver->applied().term, 4u);
  EXPECT_EQ(installed.instance, 2u);
  EXPECT_EQ(installed.manifest.index, 30u);
  EXPECT_EQ(installer_->restored_bytes(), 20u);
  EXPECT_EQ(table_.opened->state, (std::map<std::string, std::string>{
                                      {"a", "1"}, {"b", "2"}, {"c", "3"}, {"d", "4"}, {"e", "5"}}));
}

TEST_P(SnapshotInstallerTest, what_an_earlier_attempt_left_is_removed_first) {
  ASSERT_TRUE(disk_.make_directory_now(instance_directory));
  {
    const auto file = disk_.open_now(std::string(instance_directory) + "/old", {.create = true});
    ASSERT_TRUE(file && (*file)->write_now(0, as_bytes("rest")));
  }
  install();
  offload_.run();
  ASSERT_TRUE(result_ && *result_);
  EXPECT_TRUE(disk_.list_now(instance_directory)->empty());
}

// Each operation on the disk fails once: the install ends with the error, and the next one succeeds.
TEST_P(SnapshotInstallerTest, an_error_of_the_disk_ends_it_and_leaves_nothing_in_the_way) {
  using enum sim::DiskOperation;
  size_t failures = 0;
  for (const sim::DiskOperation kind : {read, open, sync_directory}) {
    bool failed = true;
    for (uint64_t nth = 1; failed; ++nth) {
      make_installer();
      disk_.fail(kind, BOP_E_IO, nth);
      install();
      offload_.run();
      ASSERT_TRUE(result_.has_value());
      failed = !*result_;
      failures += failed ? 1 : 0;
      EXPECT_TRUE(!failed || result_->error().code == BOP_E_IO);
      EXPECT_FALSE(installer_->installing());
      disk_.heal();
    }
  }
  EXPECT_GT(failures, 5u);
}

// The process is killed after each step of the work.
TEST_P(SnapshotInstallerTest, a_crash_at_any_step_leaves_the_snapshot_to_be_installed_again) {
  bool ended = false;
  for (size_t steps = 0; !ended; ++steps) {
    make_installer();
    install();
    for (size_t i = 0; i < steps && offload_.step(Queue::bulk); ++i) {
    }
    ended = result_.has_value();
    result_.reset();
    installer_ = nullptr;  // jobs that it submitted end without it
    offload_.run();
    files_ = nullptr;
    disk_.power_loss();
  }
  make_installer();
  install();
  offload_.run();
  ASSERT_TRUE(result_ && *result_);
  EXPECT_EQ(table_.opened->state.size(), 5u);
}

TEST_P(SnapshotInstallerTest, another_groups_snapshot_and_damaged_parts_are_refused) {
  make_installer(8);
  install();
  offload_.run();
  ASSERT_TRUE(result_ && !*result_);
  EXPECT_EQ(result_->error().code, BOP_E_INVALID_ARGUMENT);

  make_installer();
  const std::string parts = std::string(snapshots_directory) + "/parts";
  const auto names = disk_.list_now(parts);
  ASSERT_TRUE(names);
  {
    const auto file = disk_.open_now(parts + "/" + names->back(), {});
    ASSERT_TRUE(file && (*file)->write_now(0, as_bytes("x")));
  }
  install();
  offload_.run();
  ASSERT_TRUE(result_ && !*result_);
  EXPECT_EQ(result_->error().code, BOP_E_DAMAGED);
  EXPECT_NE(result_->error().detail.find(names->back()), std::string::npos);
}

TEST(MachineEvents, a_failure_before_anybody_wants_the_events_is_told_later) {
  struct Events final : machine::DriverEvents {
    void applied(std::span<const bop_reply>) override {}
    void answered(uint64_t, const bop_reply&) override {}
    void failed(const Error& error) override { failure = error.to_string(); }
    std::string failure;
  } events;
  MachineEvents passed;
  passed.failed({BOP_E_MACHINE, "broken"});
  EXPECT_TRUE(passed.failure());
  passed.pass_to(events);
  EXPECT_NE(events.failure.find("broken"), std::string::npos);
}

}  // namespace
}  // namespace bop::group

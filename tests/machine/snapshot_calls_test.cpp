// Snapshots and restores through the driver, with a machine that does what the test tells it to.
#include <gtest/gtest.h>

#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "machine/driver.h"
#include "manual_offload.h"

namespace bop::machine {
namespace {

struct OwnedPart {
  uint32_t kind = BOP_PART_BYTES;
  std::string label;
  std::string bytes;
  uint32_t flags = 0;
  std::string path;

  bop_part as_c() const {
    return {sizeof(bop_part),
            kind,
            flags,
            {as_bytes(label).data(), label.size()},
            {as_bytes(bytes).data(), bytes.size()},
            path.empty() ? nullptr : path.c_str()};
  }
};

const OwnedPart end{.kind = BOP_PART_END, .label = {}, .bytes = {}, .path = {}};

struct Plan {
  int32_t begin_status = BOP_OK;
  int32_t next_status = BOP_OK;
  int32_t restore_status = BOP_OK;
  bool point_at_begin = true;
  bop_position applied{42, 7};
  std::deque<OwnedPart> parts;  // what snapshot_next returns
  OwnedPart current;

  const bop_machine_host* host = nullptr;
  uint64_t handle = 0;
  uint64_t token = 0;  // of the latest pending call
  std::vector<uint64_t> cancelled;
  std::vector<uint64_t> ended;
  std::vector<std::string> restored;
};

}  // namespace
}  // namespace bop::machine

struct bop_machine {
  bop::machine::Plan* plan;
};

namespace bop::machine {
namespace {

// Keeps its state in memory: it has no storage of its own.
struct PlannedTable : bop_machine_table {
  Plan plan;
  bop_machine machine{&plan};

  PlannedTable() : bop_machine_table{} {
    size = sizeof(bop_machine_table);
    abi = BOP_MACHINE_ABI;
    kind = "planned";
    version = 3;
    version_min = 2;
    open = [](const bop_machine_table* self, const bop_machine_host* host,
              const bop_machine_options*, bop_machine** out, char*, size_t) -> int32_t {
      auto* table = const_cast<PlannedTable*>(static_cast<const PlannedTable*>(self));
      table->plan.host = host;
      *out = &table->machine;
      return BOP_OK;
    };
    apply = [](bop_machine*, const bop_entry*, size_t, bop_reply*, uint64_t) -> int32_t {
      return BOP_OK;
    };
    query = [](bop_machine*, bop_bytes, bop_reply*, uint64_t) -> int32_t { return BOP_OK; };
    applied = [](bop_machine* machine) { return machine->plan->applied; };
    state_hash = [](bop_machine*, bop_state_hash*) -> int32_t { return BOP_E_NOT_FOUND; };
    close = [](bop_machine*) {};
    snapshot_begin = [](bop_machine* machine, const bop_snapshot_options* options,
                        uint64_t token) -> int32_t {
      Plan& plan = *machine->plan;
      plan.handle = options->handle;
      plan.token = token;
      if (plan.point_at_begin) plan.host->snapshot_point(plan.host->context, plan.handle);
      return plan.begin_status;
    };
    snapshot_next = [](bop_machine* machine, uint64_t, bop_part* part, uint64_t token) -> int32_t {
      Plan& plan = *machine->plan;
      plan.token = token;
      if (plan.next_status != BOP_OK) return plan.next_status;
      plan.current = plan.parts.front();
      plan.parts.pop_front();
      *part = plan.current.as_c();
      return BOP_OK;
    };
    snapshot_end = [](bop_machine* machine, uint64_t handle) {
      machine->plan->ended.push_back(handle);
    };
    cancel = [](bop_machine* machine, uint64_t token) {
      machine->plan->cancelled.push_back(token);
    };
    restore_begin = [](bop_machine* machine, const bop_restore_options* options,
                       uint64_t token) -> int32_t {
      machine->plan->restored.push_back(std::string("begin ") + options->kind);
      machine->plan->token = token;
      return machine->plan->restore_status;
    };
    restore_part = [](bop_machine* machine, const bop_part* part, uint64_t token) -> int32_t {
      machine->plan->restored.emplace_back(as_text({part->bytes.data, part->bytes.size}));
      machine->plan->token = token;
      return machine->plan->restore_status;
    };
    restore_end = [](bop_machine* machine, bop_position position, uint64_t token) -> int32_t {
      machine->plan->restored.push_back("end at " + std::to_string(position.index));
      machine->plan->token = token;
      return machine->plan->restore_status;
    };
  }
};

struct NoEvents final : DriverEvents {
  std::vector<std::string> failures;
  void applied(std::span<const bop_reply>) override {}
  void answered(uint64_t, const bop_reply&) override {}
  void failed(const Error& error) override { failures.push_back(error.to_string()); }
};

struct Taken final : SnapshotEvents {
  int begins = 0;
  std::optional<bop_position> point;
  std::vector<std::string> parts;  // label, "=", bytes or path; "end"
  std::vector<std::string> failures;

  void begun() override { ++begins; }
  void at_point(bop_position applied) override { point = applied; }
  void part(const bop_part& part) override {
    if (part.kind == BOP_PART_END) return parts.push_back("end");
    const std::string label(as_text({part.label.data, part.label.size}));
    const std::string content = part.path != nullptr
                                    ? std::string(part.path)
                                    : std::string(as_text({part.bytes.data, part.bytes.size}));
    parts.push_back(label + "=" + content);
  }
  void failed(const Error& error) override { failures.push_back(error.to_string()); }
};

struct Restored final : RestoreEvents {
  std::vector<bop_status> results;
  void restored(const Status& status) override {
    results.push_back(status ? BOP_OK : status.error().code);
  }
};

class SnapshotCallsTest : public testing::Test {
 protected:
  void SetUp() override { open(); }
  void open_empty() {
    plan_.applied = {0, 0};
    open();
  }
  void open() {
    DriverOptions options;
    options.group = "g";
    auto driver = Driver::open(table_, options, offload_, events_);
    ASSERT_TRUE(driver) << driver.error().to_string();
    driver_ = std::move(*driver);
  }
  uint64_t begin(const SnapshotOptions& options = {}) {
    const auto handle = driver_->begin_snapshot(options, taken_);
    EXPECT_TRUE(handle) << handle.error().to_string();
    return handle.value_or(0);
  }
  // Makes a snapshot of these parts, of which the last breaks the rule that `words` are of.
  void expect_violation(std::deque<OwnedPart> parts, const std::string& words,
                        const SnapshotOptions& options = {}) {
    SCOPED_TRACE(words);
    open();
    events_.failures.clear();
    taken_ = {};
    plan_.parts = std::move(parts);
    const uint64_t handle = begin(options);
    while (!plan_.parts.empty()) driver_->next_part(handle);
    ASSERT_EQ(events_.failures.size(), 1u);
    EXPECT_NE(events_.failures[0].find(words), std::string::npos) << events_.failures[0];
    EXPECT_EQ(taken_.failures.size(), 1u);
    EXPECT_TRUE(driver_->has_failed());
  }
  void complete(int32_t status) {
    plan_.host->complete(plan_.host->context, plan_.token, status, nullptr, 0);
  }
  void complete_part(int32_t status, const OwnedPart& part) {
    const bop_part given = part.as_c();
    plan_.host->complete_part(plan_.host->context, plan_.token, status, &given);
  }

  PlannedTable table_;
  Plan& plan_ = table_.plan;
  ManualOffload offload_;
  NoEvents events_;
  Taken taken_;
  Restored restored_;
  std::unique_ptr<Driver> driver_;
};

TEST_F(SnapshotCallsTest, parts_arrive_in_order_and_the_end_closes_the_snapshot) {
  plan_.parts = {{.label = "a", .bytes = "one", .path = {}},
                 {.label = "b", .bytes = "tw", .flags = BOP_PART_MORE, .path = {}},
                 {.label = "b", .bytes = "o", .path = {}},
                 end};
  const uint64_t handle = begin();
  EXPECT_EQ(taken_.begins, 1);
  ASSERT_TRUE(taken_.point);
  EXPECT_EQ(taken_.point->index, 42u);
  EXPECT_EQ(taken_.point->term, 7u);
  for (int i = 0; i < 4; ++i) driver_->next_part(handle);
  EXPECT_EQ(taken_.parts, (std::vector<std::string>{"a=one", "b=tw", "b=o", "end"}));
  EXPECT_EQ(plan_.ended, std::vector{handle});
  EXPECT_TRUE(taken_.failures.empty());
}

TEST_F(SnapshotCallsTest, a_machine_may_complete_each_call_later) {
  plan_.begin_status = plan_.next_status = BOP_PENDING;
  plan_.point_at_begin = false;
  const uint64_t handle = begin();
  EXPECT_EQ(taken_.begins, 0);
  complete(BOP_OK);
  EXPECT_EQ(taken_.begins, 1);
  driver_->next_part(handle);
  EXPECT_TRUE(taken_.parts.empty());
  complete_part(BOP_OK, {.label = "a", .bytes = "one", .path = {}});
  plan_.host->snapshot_point(plan_.host->context, handle);
  ASSERT_TRUE(taken_.point);
  driver_->next_part(handle);
  complete_part(BOP_OK, end);
  EXPECT_EQ(taken_.parts, (std::vector<std::string>{"a=one", "end"}));
  EXPECT_TRUE(events_.failures.empty());
}

TEST_F(SnapshotCallsTest, an_error_ends_the_snapshot_and_the_machine_goes_on) {
  plan_.next_status = BOP_E_DISK_FULL;
  const uint64_t handle = begin();
  driver_->next_part(handle);
  ASSERT_EQ(taken_.failures.size(), 1u);
  EXPECT_NE(taken_.failures[0].find("BOP_E_DISK_FULL"), std::string::npos);
  EXPECT_EQ(plan_.ended, std::vector{handle});
  EXPECT_FALSE(driver_->has_failed());
  plan_.begin_status = BOP_E_DISK_FULL;
  begin();
  EXPECT_EQ(taken_.failures.size(), 2u);
  EXPECT_EQ(plan_.ended.size(), 2u);
}

TEST_F(SnapshotCallsTest, a_snapshot_is_ended_early_without_a_further_event) {
  const uint64_t handle = begin();
  driver_->end_snapshot(handle);
  EXPECT_EQ(plan_.ended, std::vector{handle});
  // With an open call the machine is asked to cancel it, and the snapshot ends once it has completed.
  plan_.next_status = BOP_PENDING;
  const uint64_t other = begin();
  driver_->next_part(other);
  driver_->end_snapshot(other);
  EXPECT_EQ(plan_.cancelled, std::vector{plan_.token});
  EXPECT_EQ(plan_.ended.size(), 1u);
  complete_part(BOP_E_STOPPED, {});
  EXPECT_EQ(plan_.ended, (std::vector{handle, other}));
  EXPECT_TRUE(taken_.parts.empty());
  EXPECT_TRUE(taken_.failures.empty());
  EXPECT_FALSE(driver_->has_failed());
}

TEST_F(SnapshotCallsTest, snapshots_beyond_the_bound_are_refused) {
  for (int i = 0; i < 4; ++i) begin();
  const auto refused = driver_->begin_snapshot({}, taken_);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, BOP_E_OVERLOADED);
}

TEST_F(SnapshotCallsTest, a_machine_without_snapshots_is_refused_by_name) {
  table_.sync = [](bop_machine*, uint64_t) -> int32_t { return BOP_OK; };
  table_.durable = [](bop_machine*) { return bop_position{}; };
  table_.stable = [](bop_machine*, uint64_t) {};
  table_.snapshot_begin = nullptr;
  table_.restore_begin = nullptr;
  open_empty();
  EXPECT_FALSE(driver_->in_memory());
  EXPECT_EQ(driver_->begin_snapshot({}, taken_).error().code, BOP_E_UNSUPPORTED);
  EXPECT_EQ(driver_->begin_restore({}, restored_).error().code, BOP_E_UNSUPPORTED);
}

TEST_F(SnapshotCallsTest,
       a_table_is_refused_that_has_neither_storage_nor_snapshots_or_half_of_either) {
  const auto error = [this] {
    const auto opened = Driver::open(table_, {}, offload_, events_);
    return opened ? std::string() : opened.error().to_string();
  };
  EXPECT_EQ(error(), "");
  table_.restore_end = nullptr;
  EXPECT_NE(error().find("no function restore_end"), std::string::npos) << error();
  table_.snapshot_begin = nullptr;
  EXPECT_NE(error().find("no function snapshot_begin"), std::string::npos) << error();
  table_.sync = [](bop_machine*, uint64_t) -> int32_t { return BOP_OK; };
  EXPECT_NE(error().find("no function durable"), std::string::npos) << error();
  table_.version_min = 0;
  EXPECT_NE(error().find("version_min"), std::string::npos) << error();
}

TEST_F(SnapshotCallsTest, a_machine_that_breaks_a_rule_of_parts_is_failed) {
  const OwnedPart a{.label = "a", .bytes = "x", .path = {}};
  const OwnedPart b_begun{.label = "b", .bytes = "x", .flags = BOP_PART_MORE, .path = {}};
  expect_violation({{.kind = 9, .label = "a", .bytes = {}, .path = {}}}, "part kind 9");
  expect_violation({{.label = "", .bytes = "x", .path = {}}}, "a label has 0 bytes");
  expect_violation({{.label = std::string(256, 'l'), .bytes = {}, .path = {}}}, "256 bytes");
  expect_violation({a, a}, "the labels do not ascend");
  expect_violation({b_begun, end}, "the parts end within one");
  expect_violation({b_begun, {.label = "c", .bytes = "x", .path = {}}}, "without its last piece");
  expect_violation({{.label = "a", .bytes = "x", .flags = 2, .path = {}}}, "unknown flags");
  expect_violation({{.kind = BOP_PART_SAME, .label = "a", .bytes = {}, .path = {}}}, "no base");
  expect_violation({{.kind = BOP_PART_FILE, .label = "a", .bytes = {}, .path = "file"}},
                   "not below scratch");
  for (const char* path : {"/etc/passwd", "../x", "x/../../y", ""})
    expect_violation({{.kind = BOP_PART_FILE, .label = "a", .bytes = {}, .path = path}},
                     "not below scratch", {.scratch = "/scratch"});
  expect_violation({{.kind = BOP_PART_SAME, .label = "a", .bytes = "x", .path = {}}}, "no bytes",
                   {.scratch = {}, .base = {1, 1}});
  std::deque<OwnedPart> large;
  for (int i = 0; i < 65; ++i)
    large.push_back(
        {.label = "a", .bytes = std::string(1 << 20, 'x'), .flags = BOP_PART_MORE, .path = {}});
  expect_violation(std::move(large), "BOP_PART_SIZE_MAX");
  plan_.point_at_begin = false;
  expect_violation({a, end}, "before host->snapshot_point");
}

TEST_F(SnapshotCallsTest, a_file_below_scratch_and_a_part_of_the_base_are_passed_on) {
  plan_.parts = {{.kind = BOP_PART_FILE, .label = "a", .bytes = {}, .path = "new/file"},
                 {.kind = BOP_PART_SAME, .label = "b", .bytes = {}, .path = {}},
                 end};
  const uint64_t handle = begin({.scratch = "/scratch", .base = {30, 6}});
  for (int i = 0; i < 3; ++i) driver_->next_part(handle);
  EXPECT_EQ(taken_.parts, (std::vector<std::string>{"a=new/file", "b=", "end"}));
}

TEST_F(SnapshotCallsTest, completions_of_calls_that_are_not_open_fail_the_machine) {
  const uint64_t handle = begin();
  complete(BOP_OK);
  ASSERT_EQ(events_.failures.size(), 1u);
  EXPECT_EQ(taken_.failures.size(), 1u);
  open();
  events_.failures.clear();
  plan_.host->snapshot_point(plan_.host->context, handle + 5);
  ASSERT_EQ(events_.failures.size(), 1u);
  EXPECT_NE(events_.failures[0].find("no such snapshot"), std::string::npos);
  open();
  events_.failures.clear();
  begin();
  plan_.host->snapshot_point(plan_.host->context, plan_.handle);
  ASSERT_EQ(events_.failures.size(), 1u);
  EXPECT_NE(events_.failures[0].find("twice"), std::string::npos);
}

TEST_F(SnapshotCallsTest, a_restore_passes_the_parts_and_ends_at_the_position) {
  open_empty();
  ASSERT_TRUE(driver_->begin_restore({.kind = "planned", .version = 3, .bytes = 5}, restored_));
  driver_->restore_part(OwnedPart{.label = "a", .bytes = "one", .path = {}}.as_c());
  plan_.restore_status = BOP_PENDING;
  driver_->finish_restore({90, 8});
  EXPECT_EQ(restored_.results, (std::vector{BOP_OK, BOP_OK}));
  complete(BOP_OK);
  EXPECT_EQ(restored_.results, (std::vector{BOP_OK, BOP_OK, BOP_OK}));
  EXPECT_EQ(plan_.restored, (std::vector<std::string>{"begin planned", "one", "end at 90"}));
  EXPECT_TRUE(events_.failures.empty());
}

TEST_F(SnapshotCallsTest, a_machine_that_has_a_state_takes_no_restore) {
  EXPECT_EQ(driver_->begin_restore({}, restored_).error().code, BOP_E_INVALID_ARGUMENT);
  EXPECT_TRUE(plan_.restored.empty());
}

TEST_F(SnapshotCallsTest, a_restore_that_fails_is_over_and_the_error_is_the_machine_s) {
  open_empty();
  ASSERT_TRUE(driver_->begin_restore({.kind = "planned", .version = 3, .bytes = 5}, restored_));
  plan_.restore_status = BOP_E_DISK_FULL;
  driver_->restore_part(OwnedPart{.label = "a", .bytes = "one", .path = {}}.as_c());
  EXPECT_EQ(restored_.results, (std::vector{BOP_OK, BOP_E_DISK_FULL}));
  EXPECT_FALSE(driver_->has_failed());
}

TEST_F(SnapshotCallsTest, a_machine_in_memory_has_nothing_durable_and_no_sync) {
  EXPECT_TRUE(driver_->in_memory());
  EXPECT_EQ(driver_->durable().index, 0u);
  driver_->sync();
  EXPECT_FALSE(driver_->syncing());
  driver_->stable(10);
}

}  // namespace
}  // namespace bop::machine

// Snapshots of kv by the machine interface: taken while entries are applied and flushed, restored into another store, on
// both stores.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <set>

#include "base/random.h"
#include "kv_model.h"
#include "kv_snapshots.h"
#include "machine/kv/parts.h"
#include "machine/kv/store_mdbx.h"
#include "temporary_directory.h"

namespace bop::machine::kv::test {
namespace {

constexpr uint64_t part_bytes = 4 << 10;

// A kv with its store, which survives crashes.
struct Node {
  explicit Node(bool on_disk, Settings settings = {}) : Node(on_disk, settings, {}) {}
  Node(bool on_disk, Settings settings, StoreOptions options)
      : image(std::make_shared<StoreImage>()),
        replica(
            [image = image, on_disk,
             options](const StoreOptions& given) -> Result<std::unique_ptr<Store>> {
              StoreOptions merged = given;
              if (options.max_pinned_bytes != 0) merged.max_pinned_bytes = options.max_pinned_bytes;
              return on_disk ? open_mdbx_store(merged) : open_memory_store(image);
            },
            settings, on_disk ? directory.path() : std::string()) {}
  std::string path() const { return directory.path() + "/kv.mdbx"; }

  TemporaryDirectory directory;
  std::shared_ptr<StoreImage> image;
  Replica replica;
};

class KvSnapshot : public testing::TestWithParam<bool> {
 protected:
  std::unique_ptr<Node> open(Settings settings = {}) {
    auto node = std::make_unique<Node>(GetParam(), settings);
    EXPECT_TRUE(node->replica.open()) << node->replica.open_error.to_string();
    return node;
  }

  // Random commands, of which `model_` knows the effects.
  void run(Replica& replica, size_t commands) {
    for (size_t i = 0; i < commands; ++i) {
      const std::string key = "key" + std::to_string(random_.below(300));
      const std::vector<Op> operations =
          random_.chance(1, 5)
              ? std::vector{erase(key)}
              : std::vector{put(key, std::string(random_.below(400), 'a' + random_.below(26)))};
      replica.run(operations);
      model_.apply(operations, replica.given());
    }
  }
  static Reply all(Replica& replica) { return replica.ask(range("", "", 1000)); }

  // What `parts` restore at `position`, in a new node that then crashed.
  void expect_restores(const std::vector<PartOf>& parts, bop_position position, const Model& model,
                       const std::optional<Totals>& hash) {
    const auto node = open();
    Restoring restoring(node->replica);
    const Status restored = restoring.restore(parts, position);
    ASSERT_TRUE(restored) << restored.error().to_string();
    EXPECT_EQ(node->replica.driver().applied().index, position.index);
    EXPECT_EQ(node->replica.driver().durable().index, position.index);
    expect_state(node->replica, position, model, hash);
    node->replica.crash();
    ASSERT_TRUE(node->replica.open()) << node->replica.open_error.to_string();
    ASSERT_FALSE(node->replica.failure) << node->replica.failure->to_string();
    EXPECT_EQ(node->replica.driver().applied().index, position.index);
    EXPECT_EQ(node->replica.driver().applied().term, position.term);
    expect_state(node->replica, position, model, hash);
  }
  static void expect_state(Replica& replica, bop_position position, const Model& model,
                           const std::optional<Totals>& hash) {
    EXPECT_EQ(all(replica), model.range("", "", 1000, 0, position.index));
    const auto found = replica.driver().state_hash();
    ASSERT_TRUE(found && hash);
    EXPECT_EQ(found->index, position.index);
    EXPECT_EQ(found->low, hash->low);
    EXPECT_EQ(found->high, hash->high);
  }

  Random random_{7};
  Model model_;
};

INSTANTIATE_TEST_SUITE_P(, KvSnapshot, testing::Bool(),
                         [](const auto& info) { return info.param ? "on_disk" : "in_memory"; });

TEST_P(KvSnapshot, has_the_state_of_its_point_though_entries_are_applied_and_flushed_meanwhile) {
  const auto node = open();
  Replica& replica = node->replica;
  run(replica, 500);
  replica.flush();
  run(replica, 300);
  Taking taking(replica, part_bytes);
  const Model then = model_;
  EXPECT_EQ(taking.point.index, replica.given()) << "the point is the entry applied last";
  run(replica, 50);
  EXPECT_FALSE(taking.has_begun) << "its entries are not stable, so they are not in the store";
  replica.make_stable();
  replica.finish();
  EXPECT_TRUE(taking.has_begun);
  const auto hash = replica.hash_at(taking.point.index);
  while (taking.next()) {
    run(replica, 30);
    replica.flush();
  }
  ASSERT_TRUE(taking.ended);
  EXPECT_GT(taking.parts.size(), 5u);
  expect_restores(taking.parts, taking.point, then, hash);
  ASSERT_FALSE(replica.failure);
  EXPECT_EQ(all(replica), model_.range("", "", 1000, 0, replica.given()));
}

TEST_P(KvSnapshot, a_restored_machine_goes_on_as_the_one_that_made_the_snapshot) {
  const auto donor = open();
  run(donor->replica, 200);
  donor->replica.make_stable();
  Taking taking(donor->replica, part_bytes);
  ASSERT_TRUE(taking.all());
  const auto receiver = open();
  Restoring restoring(receiver->replica);
  ASSERT_TRUE(restoring.restore(taking.parts, taking.point));
  for (uint64_t index = taking.point.index + 1; index < taking.point.index + 200; ++index) {
    const std::string key = "key" + std::to_string(random_.below(300));
    const auto bytes = command({append(key, "more", BOP_KV_RETURN_PREVIOUS)});
    donor->replica.apply({{index, 2, bytes}});
    donor->replica.finish();
    receiver->replica.apply({{index, 2, bytes}});
    receiver->replica.finish();
    ASSERT_EQ(donor->replica.replies.at(index), receiver->replica.replies.at(index));
  }
  for (Node* node : {donor.get(), receiver.get()}) node->replica.flush();
  EXPECT_EQ(all(donor->replica), all(receiver->replica));
  const auto ours = donor->replica.driver().state_hash();
  const auto theirs = receiver->replica.driver().state_hash();
  ASSERT_TRUE(ours && theirs);
  EXPECT_EQ(ours->index, theirs->index);
  EXPECT_EQ(ours->low, theirs->low);
  EXPECT_EQ(ours->high, theirs->high);
  // A scrub compares the sums of the store with the restored totals.
  for (int i = 0; i < 200; ++i) {
    receiver->replica.driver().scrub(2000);
    receiver->replica.finish();
  }
  EXPECT_GT(receiver->replica.driver().verification().scrub_passes, 1u);
  EXPECT_FALSE(receiver->replica.failure);
}

TEST_P(KvSnapshot, equal_states_have_equal_parts_however_they_came_about) {
  const auto one = open();
  const auto other = open();
  for (uint64_t i = 0; i < 600; ++i) {
    const auto operation = put("key" + std::to_string(i * 7919 % 250), std::to_string(i));
    one->replica.run({operation});
    other->replica.run({operation});
    if (i % 50 == 0) one->replica.flush();
  }
  one->replica.make_stable();
  other->replica.make_stable();
  Taking first(one->replica, part_bytes);
  Taking second(other->replica, part_bytes);
  ASSERT_TRUE(first.all());
  ASSERT_TRUE(second.all());
  EXPECT_EQ(first.point.index, second.point.index);
  EXPECT_EQ(first.parts, second.parts);
}

TEST_P(KvSnapshot, of_an_empty_state_has_only_the_totals) {
  const auto node = open();
  node->replica.run({put("k", "v")});
  node->replica.run({erase("k")});
  model_.apply({put("k", "v")}, 1);
  model_.apply({erase("k")}, 2);
  node->replica.make_stable();
  Taking taking(node->replica, part_bytes);
  ASSERT_TRUE(taking.all());
  ASSERT_EQ(taking.parts.size(), 1u);
  EXPECT_EQ(taking.parts[0].label, totals_label);
  expect_restores(taking.parts, taking.point, model_, Totals{});
}

TEST_P(KvSnapshot, needs_no_flush_when_the_store_has_everything) {
  const auto node = open();
  run(node->replica, 100);
  node->replica.flush();
  node->replica.crash();
  ASSERT_TRUE(node->replica.open());
  Taking taking(node->replica, part_bytes);
  node->replica.finish();
  EXPECT_TRUE(taking.has_begun);
  ASSERT_TRUE(taking.all());
  expect_restores(taking.parts, taking.point, model_, node->replica.hash_at(taking.point.index));
}

TEST_P(KvSnapshot, several_have_each_the_state_of_its_own_point) {
  const auto node = open();
  Replica& replica = node->replica;
  struct Open {
    std::unique_ptr<Taking> taking;
    Model then;
    std::optional<Totals> hash;
  };
  std::vector<Open> open;
  for (int i = 0; i < 3; ++i) {
    run(replica, 200);
    replica.make_stable();
    open.push_back({std::make_unique<Taking>(replica, part_bytes), model_, {}});
    replica.finish();
    open.back().hash = replica.hash_at(open.back().taking->point.index);
  }
  run(replica, 200);
  replica.flush();
  for (bool more = true; more;) {
    more = false;
    for (Open& each : open) more |= each.taking->next();
  }
  std::set<uint64_t> points;
  for (Open& each : open) {
    ASSERT_TRUE(each.taking->ended);
    points.insert(each.taking->point.index);
    expect_restores(each.taking->parts, each.taking->point, each.then, each.hash);
  }
  EXPECT_EQ(points.size(), 3u);
}

TEST_P(KvSnapshot, that_begins_during_a_flush_waits_for_the_next) {
  const auto node = open();
  Replica& replica = node->replica;
  using WorkQueue = Offload::WorkQueue;
  run(replica, 100);
  replica.make_stable();
  replica.driver().sync();
  // The memtable is immutable, and its flush has not begun.
  const uint64_t frozen = replica.given();
  replica.apply({{frozen + 1, 1, command({put("later", "value")})}});
  model_.apply({put("later", "value")}, frozen + 1);
  Taking taking(replica, part_bytes);
  EXPECT_EQ(taking.point.index, 0u);
  for (int i = 0; i < 100 && taking.point.index == 0; ++i) replica.offload->step(WorkQueue::writes);
  EXPECT_EQ(taking.point.index, frozen + 1);
  replica.make_stable();
  ASSERT_TRUE(taking.all());
  expect_restores(taking.parts, taking.point, model_, replica.hash_at(frozen + 1));
}

TEST_P(KvSnapshot, that_ends_while_it_waits_or_reads_leaves_no_trace) {
  const auto node = open();
  Replica& replica = node->replica;
  run(replica, 100);
  {
    Taking waiting(replica, part_bytes);
    waiting.end();  // its entries are not stable: it would wait for long
    replica.finish();
    EXPECT_FALSE(waiting.has_begun || waiting.error);
  }
  replica.make_stable();
  {
    Taking reading(replica, part_bytes);
    replica.finish();
    ASSERT_TRUE(reading.next());
    reading.end();
    replica.finish();
    EXPECT_EQ(reading.parts.size(), 1u);
    EXPECT_FALSE(reading.error);
  }
  {
    Taking with_a_call(replica, part_bytes);
    replica.finish();
    replica.driver().next_part(with_a_call.handle);
    with_a_call.end();
    replica.finish();
    EXPECT_TRUE(with_a_call.parts.empty());
  }
  // As many as may be open.
  std::vector<std::unique_ptr<Taking>> open;
  for (int i = 0; i < 4; ++i) open.push_back(std::make_unique<Taking>(replica, part_bytes));
  for (const auto& each : open) EXPECT_TRUE(each->all()) << each->error->to_string();
  EXPECT_FALSE(replica.failure);
  {
    Taking closed_with_the_machine(replica, part_bytes);
    replica.offload->step(Offload::WorkQueue::writes);
    replica.crash();
  }
  ASSERT_TRUE(replica.open());
  EXPECT_EQ(all(replica), model_.range("", "", 1000, 0, replica.given()));
}

TEST_P(KvSnapshot, that_keeps_too_much_from_being_reused_is_ended_by_name_and_nothing_else) {
  Settings settings;
  settings.max_pinned_bytes = 1 << 20;
  const auto node = open(settings);
  node->image->max_pinned_bytes = 20 << 10;
  Replica& replica = node->replica;
  run(replica, 300);
  replica.make_stable();
  Taking taking(replica, part_bytes);
  replica.finish();
  ASSERT_TRUE(taking.next());
  for (int i = 0; i < 40; ++i) {
    run(replica, 50);
    replica.flush();
  }
  EXPECT_FALSE(taking.next());
  ASSERT_TRUE(taking.error);
  EXPECT_EQ(taking.error->code, BOP_E_OVERLOADED);
  ASSERT_FALSE(replica.failure);
  EXPECT_EQ(all(replica), model_.range("", "", 1000, 0, replica.given()));
  Taking again(replica, part_bytes);
  EXPECT_TRUE(again.all());
}

// ---- restores that are refused ----

class KvRestore : public KvSnapshot {
 protected:
  void SetUp() override {
    const auto node = open();
    run(node->replica, 400);
    node->replica.make_stable();
    Taking taking(node->replica, part_bytes);
    ASSERT_TRUE(taking.all());
    parts_ = taking.parts;
    point_ = taking.point;
    hash_ = node->replica.hash_at(point_.index);
    ASSERT_GT(parts_.size(), 4u);
  }
  // The code with which it is refused, after which the store holds nothing that a machine would serve.
  bop_status refusal(const std::vector<PartOf>& parts, bop_position position,
                     const std::string& kind = "kv", uint32_t version = BOP_KV_VERSION) {
    const auto node = open();
    Restoring restoring(node->replica);
    const Status status = restoring.restore(parts, position, kind, version);
    EXPECT_EQ(node->replica.driver().applied().index, 0u);
    EXPECT_EQ(node->replica.driver().durable().index, 0u);
    EXPECT_FALSE(node->replica.failure);
    node->replica.crash();
    if (node->replica.open()) {
      EXPECT_EQ(node->replica.driver().applied().index, 0u);
      EXPECT_EQ(node->replica.ask(count()), Model().count(0));
      EXPECT_EQ(all(node->replica), Model().range("", "", 100, 0, 0));
    } else {
      EXPECT_EQ(node->replica.open_error.code, BOP_E_DAMAGED);
    }
    return status ? BOP_OK : status.error().code;
  }

  std::vector<PartOf> parts_;
  bop_position point_{0, 0};
  std::optional<Totals> hash_;
};

INSTANTIATE_TEST_SUITE_P(, KvRestore, testing::Bool(),
                         [](const auto& info) { return info.param ? "on_disk" : "in_memory"; });

TEST_P(KvRestore, a_wrong_part_is_refused_and_changes_nothing) {
  const auto with = [this](size_t part, auto change) {
    std::vector<PartOf> changed = parts_;
    change(changed[part]);
    return changed;
  };
  const auto flipped = [](PartOf& part) { part.bytes[part.bytes.size() / 2] ^= 1; };
  for (size_t i = 0; i < parts_.size(); ++i)
    EXPECT_EQ(refusal(with(i, flipped), point_), BOP_E_DAMAGED) << "part " << i;
  EXPECT_EQ(refusal(with(1, [](PartOf& part) { part.bytes.pop_back(); }), point_), BOP_E_DAMAGED);
  EXPECT_EQ(refusal(with(1, [](PartOf& part) { part.bytes.clear(); }), point_), BOP_E_DAMAGED);
  EXPECT_EQ(refusal(with(1, [](PartOf& part) { part.label = "another"; }), point_), BOP_E_DAMAGED);
  for (size_t i = 0; i < parts_.size(); ++i) {
    std::vector<PartOf> without = parts_;
    without.erase(without.begin() + static_cast<ptrdiff_t>(i));
    EXPECT_EQ(refusal(without, point_), BOP_E_DAMAGED) << "part " << i;
    std::vector<PartOf> twice = parts_;
    twice.insert(twice.begin() + static_cast<ptrdiff_t>(i), parts_[i]);
    EXPECT_EQ(refusal(twice, point_), BOP_E_DAMAGED) << "part " << i;
  }
  std::vector<PartOf> swapped = parts_;
  std::swap(swapped[0], swapped[1]);
  EXPECT_EQ(refusal(swapped, point_), BOP_E_DAMAGED);
  std::swap(swapped[0].label, swapped[1].label);
  EXPECT_EQ(refusal(swapped, point_), BOP_E_DAMAGED);
}

TEST_P(KvRestore, what_is_no_state_of_kv_at_this_entry_is_refused) {
  EXPECT_EQ(refusal(parts_, {point_.index / 2, 1}), BOP_E_DAMAGED) << "it has later records";
  EXPECT_EQ(refusal(parts_, {0, 0}), BOP_E_INVALID_ARGUMENT);
  EXPECT_EQ(refusal(parts_, point_, "sql"), BOP_E_INVALID_ARGUMENT);
  EXPECT_EQ(refusal(parts_, point_, "kv", BOP_KV_VERSION + 1), BOP_E_NEWER_FORMAT);
  EXPECT_EQ(refusal({}, point_), BOP_E_DAMAGED);
}

TEST_P(KvRestore, takes_parts_in_pieces_and_from_files) {
  TemporaryDirectory files;
  const auto node = open();
  Restoring restoring(node->replica);
  ASSERT_TRUE(restoring.begin(parts_));
  for (size_t i = 0; i < parts_.size(); ++i) {
    if (i % 2 == 0) {
      ASSERT_TRUE(restoring.take(parts_[i], 100));
      continue;
    }
    const std::string path = files.path() + "/" + std::to_string(i);
    std::ofstream(path, std::ios::binary) << parts_[i].bytes;
    ASSERT_TRUE(restoring.take_file(parts_[i].label, path));
  }
  ASSERT_TRUE(restoring.end(point_));
  expect_state(node->replica, point_, model_, hash_);
}

TEST_P(KvRestore, a_file_that_is_missing_or_a_part_without_end_is_an_error) {
  {
    const auto node = open();
    Restoring restoring(node->replica);
    ASSERT_TRUE(restoring.begin(parts_));
    const Status status = restoring.take_file(parts_[0].label, node->directory.path() + "/none");
    ASSERT_FALSE(status);
    EXPECT_EQ(status.error().code, BOP_E_IO);
  }
  const auto node = open();
  Restoring restoring(node->replica);
  ASSERT_TRUE(restoring.begin(parts_));
  bop_part half{};
  half.size = sizeof half;
  half.kind = BOP_PART_BYTES;
  half.flags = BOP_PART_MORE;
  half.label = {reinterpret_cast<const uint8_t*>(parts_[0].label.data()), parts_[0].label.size()};
  node->replica.driver().restore_part(half);
  const Status status = restoring.end(point_);
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, BOP_E_DAMAGED);
}

TEST_P(KvRestore, nothing_is_answered_before_its_end) {
  const auto node = open();
  Restoring restoring(node->replica);
  ASSERT_TRUE(restoring.begin(parts_));
  ASSERT_TRUE(restoring.take(parts_[0]));
  EXPECT_EQ(all(node->replica).status, BOP_E_UNAVAILABLE);
  EXPECT_FALSE(node->replica.driver().state_hash());
  node->replica.driver().scrub(1000);
  node->replica.finish();
  EXPECT_FALSE(node->replica.failure) << "a scrub took the records for a state";
}

TEST_P(KvRestore, a_store_that_was_left_in_a_restore_is_refused_by_name) {
  const auto node = open();
  node->replica.crash();
  StoreOptions options;
  options.directory = node->directory.path();
  {
    auto store = GetParam() ? open_mdbx_store(options) : open_memory_store(node->image);
    ASSERT_TRUE(store);
    struct One final : Changes {
      bool next(Change& change) override {
        if (std::exchange(done, true)) return false;
        change = {};
        change.key = as_bytes(std::string_view("key"));
        change.present = true;
        change.revision = 5;
        change.value = as_bytes(std::string_view("value"));
        change.hash = record_hash(change.key, change.revision, change.value);
        return true;
      }
      void replaced(const std::optional<Stored>&) override {}
      void restart() override { done = false; }
      Progress progress() override {
        const std::string_view key = "key", value = "value";
        return {{0, 0}, totals_of(true, record_hash(as_bytes(key), 5, as_bytes(value)))};
      }
      bool done = false;
    } one;
    ASSERT_TRUE((*store)->flush(one));
    ASSERT_TRUE((*store)->sync());
  }
  ASSERT_FALSE(node->replica.open());
  EXPECT_EQ(node->replica.open_error.code, BOP_E_DAMAGED);
  EXPECT_NE(node->replica.open_error.detail.find("a restore of a snapshot into it did not end"),
            std::string::npos)
      << node->replica.open_error.detail;
}

TEST_P(KvRestore, a_machine_with_a_state_takes_no_snapshot) {
  const auto node = open();
  run(node->replica, 1);
  Restoring restoring(node->replica);
  const Status begun = restoring.begin(parts_);
  ASSERT_FALSE(begun);
  EXPECT_EQ(begun.error().code, BOP_E_INVALID_ARGUMENT);
}

// ---- the store on disk ----

TEST(KvSnapshotOnDisk, a_damaged_record_condemns_the_store_and_is_in_no_part) {
  Node node(true);
  Replica& replica = node.replica;
  ASSERT_TRUE(replica.open());
  for (int i = 0; i < 200; ++i)
    replica.run({put("key" + std::to_string(i), i == 150 ? std::string(500, 'M') : "value")});
  replica.flush();
  std::fstream file(node.path(), std::ios::in | std::ios::out | std::ios::binary);
  const std::string content((std::istreambuf_iterator<char>(file)), {});
  const size_t at = content.find(std::string(500, 'M'));
  ASSERT_NE(at, std::string::npos);
  file.seekp(static_cast<std::streamoff>(at + 100));
  file << "m" << std::flush;
  Taking taking(replica, part_bytes);
  EXPECT_FALSE(taking.all());
  ASSERT_TRUE(replica.failure);
  EXPECT_EQ(replica.failure->code, BOP_E_DAMAGED);
  EXPECT_NE(replica.failure->detail.find(node.path() + " at "), std::string::npos)
      << replica.failure->detail;
  for (const PartOf& part : taking.parts)
    EXPECT_EQ(part.bytes.find(std::string(50, 'M')), std::string::npos);
}

// A snapshot that nobody reads on must not let the file grow without a bound.
TEST(KvSnapshotOnDisk, the_file_grows_by_no_more_than_the_limit) {
  constexpr uint64_t limit = 8 << 20;
  Settings settings;
  settings.max_pinned_bytes = limit;
  Node node(true, settings);
  Replica& replica = node.replica;
  ASSERT_TRUE(replica.open());
  Random random(1);
  const auto write = [&] {
    std::vector<Op> operations;
    for (int i = 0; i < 200; ++i)
      operations.push_back(put("key" + std::to_string(random.below(2000)), std::string(1000, 'v')));
    replica.run(operations);
    replica.flush();
  };
  for (int i = 0; i < 40; ++i) write();
  const uint64_t before = std::filesystem::file_size(node.path());
  Taking taking(replica, part_bytes);
  replica.finish();
  ASSERT_TRUE(taking.next());
  for (int i = 0; i < 200; ++i) write();
  const uint64_t after = std::filesystem::file_size(node.path());
  EXPECT_LE(after, before + limit + (32 << 20)) << "the file grows by steps of 16 MiB";
  EXPECT_FALSE(taking.next());
  ASSERT_TRUE(taking.error);
  EXPECT_EQ(taking.error->code, BOP_E_OVERLOADED);
  EXPECT_FALSE(replica.failure);
}

TEST(KvSnapshotOnDisk, a_flush_that_needs_a_larger_map_goes_on_and_the_snapshot_does_not) {
  Node node(true);
  Replica& replica = node.replica;
  ASSERT_TRUE(replica.open());
  replica.run({put("key", "value")});
  replica.make_stable();
  Taking taking(replica, part_bytes);
  replica.finish();
  // More than the map was given for the snapshot.
  for (int i = 0; i < 700 && !replica.failure; ++i) {
    replica.run({put("key" + std::to_string(i), std::string(1 << 20, 'v'))});
    if (i % 20 == 0) replica.flush();
  }
  replica.flush();
  ASSERT_FALSE(replica.failure) << replica.failure->to_string();
  EXPECT_EQ(replica.ask(get({"key699"}, BOP_KV_KEYS_ONLY)).status, BOP_OK);
  EXPECT_FALSE(taking.all());
  ASSERT_TRUE(taking.error);
  EXPECT_EQ(taking.error->code, BOP_E_OVERLOADED);
}

}  // namespace
}  // namespace bop::machine::kv::test

#include "snapshot/snapshots.h"

#include <gtest/gtest.h>

#include "crashes.h"

namespace bop::snapshot {
namespace {

using test::add_part;
using test::directory;
using test::take;

class SnapshotsTest : public testing::Test {
 protected:
  void open() {
    auto opened = Snapshots::open(disk_, directory);
    ASSERT_TRUE(opened) << opened.error().to_string();
    snapshots_.emplace(std::move(*opened));
  }
  std::string path_of(const Part& part) const {
    return std::string(directory) + "/parts/" + to_hex(part.digest);
  }
  std::vector<Index> indexes() const {
    std::vector<Index> out;
    for (const Stored& each : snapshots_->list()) out.push_back(each.index);
    return out;
  }

  sim::Disk disk_{1};
  std::optional<Snapshots> snapshots_;
};

TEST_F(SnapshotsTest, a_snapshot_is_there_after_a_restart_with_its_manifest_and_parts) {
  open();
  ASSERT_TRUE(take(*snapshots_, 10));
  disk_.power_loss();
  open();
  ASSERT_EQ(indexes(), std::vector<Index>{10});
  const Stored& stored = snapshots_->list()[0];
  EXPECT_EQ(stored.term, 3u);
  EXPECT_EQ(stored.parts, 3u);
  EXPECT_EQ(stored.bytes, 3000u + 5002 + 2);
  const auto manifest = snapshots_->manifest(stored);
  ASSERT_TRUE(manifest);
  EXPECT_EQ(id_of(encode(*manifest)), stored.id);
  const auto part = snapshots_->load(manifest->parts[2]);
  ASSERT_TRUE(part);
  EXPECT_EQ(as_text(*part), "10");
  EXPECT_TRUE(snapshots_->verify(stored));
}

TEST_F(SnapshotsTest, a_part_that_several_snapshots_have_is_kept_once_and_as_long_as_one_needs_it) {
  open();
  ASSERT_TRUE(take(*snapshots_, 10));
  ASSERT_TRUE(take(*snapshots_, 20));
  EXPECT_EQ(indexes(), (std::vector<Index>{10, 20}));
  EXPECT_EQ(disk_.list_now(std::string(directory) + "/parts")->size(), 5u);
  ASSERT_TRUE(snapshots_->remove(snapshots_->list()[0]));
  ASSERT_TRUE(snapshots_->collect());
  EXPECT_EQ(disk_.list_now(std::string(directory) + "/parts")->size(), 3u);
  EXPECT_TRUE(snapshots_->verify(snapshots_->list()[0]));
}

TEST_F(SnapshotsTest,
       parts_of_an_interrupted_transfer_survive_a_restart_and_are_kept_while_wanted) {
  open();
  ASSERT_TRUE(take(*snapshots_, 10));
  const auto fetched = add_part(*snapshots_, "x", "fetched");
  ASSERT_TRUE(fetched);
  open();
  EXPECT_TRUE(snapshots_->has_part(fetched->digest));
  Manifest wanted = test::example();
  wanted.parts = {*fetched};
  ASSERT_TRUE(snapshots_->collect(&wanted));
  EXPECT_TRUE(snapshots_->has_part(fetched->digest));
  ASSERT_TRUE(snapshots_->collect());
  EXPECT_FALSE(snapshots_->has_part(fetched->digest));
  EXPECT_FALSE(disk_.exists(path_of(*fetched)));
}

TEST_F(SnapshotsTest, a_received_part_with_other_bytes_is_refused) {
  open();
  const Part expected = test::part("x", "what was sent");
  const auto received = add_part(*snapshots_, "x", "what arrived!", &expected);
  ASSERT_FALSE(received);
  EXPECT_EQ(received.error().code, BOP_E_DAMAGED);
  EXPECT_FALSE(snapshots_->has_part(expected.digest));
  ASSERT_TRUE(add_part(*snapshots_, "x", "what was sent", &expected));
  EXPECT_TRUE(snapshots_->has_part(expected.digest));
}

TEST_F(SnapshotsTest, a_part_is_read_in_pieces) {
  open();
  const auto part = add_part(*snapshots_, "x", "0123456789");
  ASSERT_TRUE(part);
  std::vector<uint8_t> into(4);
  EXPECT_EQ(*snapshots_->read(*part, 0, into), 4u);
  EXPECT_EQ(as_text(into), "0123");
  EXPECT_EQ(*snapshots_->read(*part, 8, into), 2u);
  EXPECT_EQ(as_text(Bytes(into).first(2)), "89");
  EXPECT_EQ(*snapshots_->read(*part, 10, into), 0u);
  EXPECT_EQ(snapshots_->read(*part, 11, into).error().code, BOP_E_INVALID_ARGUMENT);
}

TEST_F(SnapshotsTest, a_part_over_the_limit_is_refused) {
  open();
  auto writer = snapshots_->begin_part();
  ASSERT_TRUE(writer);
  const std::vector<uint8_t> piece(max_part_bytes / 4);
  for (int i = 0; i < 4; ++i) ASSERT_TRUE(writer->append(piece));
  EXPECT_EQ(writer->append(as_bytes("x")).error().code, BOP_E_TOO_LARGE);
}

TEST_F(SnapshotsTest, a_snapshot_without_all_its_parts_is_not_made) {
  open();
  Manifest manifest = test::example();
  const Status status = snapshots_->commit(manifest);
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, BOP_E_NOT_FOUND);
  EXPECT_NE(status.error().detail.find("part \"a\""), std::string::npos) << status.error().detail;
  EXPECT_TRUE(snapshots_->list().empty());
}

TEST_F(SnapshotsTest, a_flipped_bit_of_a_part_is_found_and_the_part_named) {
  open();
  ASSERT_TRUE(take(*snapshots_, 10));
  const auto manifest = snapshots_->manifest(snapshots_->list()[0]);
  ASSERT_TRUE(manifest);
  disk_.power_loss();
  disk_.flip_bit(path_of(manifest->parts[1]), 4000, 3);
  open();
  const Status status = snapshots_->verify(snapshots_->list()[0]);
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, BOP_E_DAMAGED);
  EXPECT_NE(status.error().detail.find("part \"b\""), std::string::npos) << status.error().detail;
}

TEST_F(SnapshotsTest, a_manifest_that_cannot_be_read_is_reported_and_the_others_are_listed) {
  open();
  ASSERT_TRUE(take(*snapshots_, 10));
  ASSERT_TRUE(take(*snapshots_, 20));
  disk_.power_loss();
  disk_.flip_bit(std::string(directory) + "/10-3", 60, 1);
  open();
  EXPECT_EQ(indexes(), std::vector<Index>{20});
  ASSERT_EQ(snapshots_->damaged().size(), 1u);
  EXPECT_EQ(snapshots_->damaged()[0].code, BOP_E_DAMAGED);
  EXPECT_NE(snapshots_->damaged()[0].detail.find("10-3"), std::string::npos);
}

TEST_F(SnapshotsTest, files_of_other_names_are_left_alone) {
  open();
  ASSERT_TRUE(take(*snapshots_, 10));
  for (const std::string name : {"/readme", "/10-", "/-3", "/10-3x", "/parts/0123"}) {
    auto file = disk_.open_now(directory + name, {.create = true});
    ASSERT_TRUE(file) << name;
  }
  open();
  EXPECT_EQ(indexes(), std::vector<Index>{10});
  EXPECT_TRUE(snapshots_->damaged().empty());
  EXPECT_TRUE(snapshots_->collect());
  EXPECT_TRUE(disk_.exists(std::string(directory) + "/parts/0123"));
}

TEST_F(SnapshotsTest, a_failed_write_or_a_crash_anywhere_leaves_each_snapshot_whole_or_not_there) {
  EXPECT_EQ(test::crash_everywhere(8), "");
}

}  // namespace
}  // namespace bop::snapshot

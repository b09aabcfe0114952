#include "node/placement.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "io/file/file_system.h"
#include "io/loop.h"

namespace bop::node {
namespace {

class ThePlacement : public testing::Test {
 protected:
  ThePlacement() {
    std::string name = (std::filesystem::temp_directory_path() / "bop-placement-XXXXXX").string();
    EXPECT_NE(mkdtemp(name.data()), nullptr);
    root_ = name;
    auto files = io::open_file_system(loop_, name, {.backend = io::FileBackend::pool});
    EXPECT_TRUE(files) << files.error().to_string();
    files_ = std::move(*files);
    groups_.resize(2);
    groups_[0].name = "kv";
    groups_[0].id = 1;
    groups_[1].name = "more";
    groups_[1].id = 2;
    groups_[1].shard = 1;
  }
  ~ThePlacement() override {
    files_.reset();
    std::filesystem::remove_all(root_);
  }

  void make(const std::string& name) { std::filesystem::create_directories(root_ / name); }
  Status place(uint32_t shards = 2) { return place_groups(*files_, shards, groups_); }

  io::Loop loop_;
  std::filesystem::path root_;
  std::unique_ptr<io::FileSystem> files_;
  std::vector<GroupSpec> groups_;
};

TEST_F(ThePlacement, of_a_fresh_directory_is_that_of_the_configuration) {
  ASSERT_TRUE(place());
  EXPECT_EQ(groups_[0].shard, 0u);
  EXPECT_EQ(groups_[1].shard, 1u);
}

TEST_F(ThePlacement, of_a_group_that_the_directory_has_is_not_changed_by_the_configuration) {
  make("shard0/group-1/1");
  make("shard0/group-2/1");
  make("shard1");
  make("shard0/group-x");
  make("shards");
  ASSERT_TRUE(place());
  EXPECT_EQ(groups_[0].shard, 0u);
  EXPECT_EQ(groups_[1].shard, 0u);
}

TEST_F(ThePlacement, names_a_group_that_the_configuration_lacks) {
  make("shard1/group-7/1");
  const Status placed = place();
  ASSERT_FALSE(placed);
  EXPECT_EQ(placed.error().code, BOP_E_BAD_CONFIG);
  EXPECT_NE(placed.error().detail.find("shard1/group-7"), std::string::npos);
}

TEST_F(ThePlacement, names_a_shard_that_the_configuration_lacks) {
  make("shard1/group-2/1");
  const Status placed = place(1);
  ASSERT_FALSE(placed);
  EXPECT_EQ(placed.error().code, BOP_E_BAD_CONFIG);
  EXPECT_NE(placed.error().detail.find("group more is on shard 1"), std::string::npos);
}

TEST_F(ThePlacement, refuses_a_group_on_two_shards) {
  make("shard0/group-2/1");
  make("shard1/group-2/1");
  const Status placed = place();
  ASSERT_FALSE(placed);
  EXPECT_EQ(placed.error().code, BOP_E_DAMAGED);
}

}  // namespace
}  // namespace bop::node

#include "node/directory.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "io/file/file_system.h"
#include "io/loop.h"

namespace bop::node {
namespace {

class ADirectory : public testing::Test {
 protected:
  ADirectory() {
    std::string name = (std::filesystem::temp_directory_path() / "bop-directory-XXXXXX").string();
    EXPECT_NE(mkdtemp(name.data()), nullptr);
    root_ = name;
    auto files = io::open_file_system(loop_, name, {.backend = io::FileBackend::pool});
    EXPECT_TRUE(files) << files.error().to_string();
    files_ = std::move(*files);
    identity_.cluster = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 0xff};
    identity_.node = 3;
    identity_.incarnation = 0x1122334455667788;
    identity_.bootstrap = bootstrap_digest({{1, "kv", "kv", {1, 2, 3}}});
    identity_.formation = formation_digest({{1, "kv", "kv", {1, 2, 3}}, {2, "a", "kv", {1, 2}}});
  }
  ~ADirectory() override {
    files_.reset();
    std::filesystem::remove_all(root_);
  }

  std::string format_file() const {
    std::ifstream file(root_ / "format", std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  void write_format_file(const std::string& bytes) const {
    std::ofstream(root_ / "format", std::ios::binary) << bytes;
  }
  bop_status read_error() const {
    const auto identity = read_identity(*files_);
    return identity ? BOP_OK : identity.error().code;
  }

  io::Loop loop_;
  std::filesystem::path root_;
  std::unique_ptr<io::FileSystem> files_;
  Identity identity_;
};

TEST_F(ADirectory, that_was_never_formatted_says_so) {
  const auto identity = read_identity(*files_);
  ASSERT_FALSE(identity);
  EXPECT_EQ(identity.error().code, BOP_E_NOT_FORMATTED);
  EXPECT_NE(identity.error().detail.find((root_ / "format").string()), std::string::npos);
}

TEST_F(ADirectory, gives_back_who_it_was_formatted_for) {
  ASSERT_TRUE(format_directory(*files_, identity_));
  const auto identity = read_identity(*files_);
  ASSERT_TRUE(identity) << identity.error().to_string();
  EXPECT_EQ(*identity, identity_);
}

TEST_F(ADirectory, is_formatted_once) {
  ASSERT_TRUE(format_directory(*files_, identity_));
  const std::string before = format_file();
  Identity other = identity_;
  other.incarnation = 9;
  const Status again = format_directory(*files_, other);
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, BOP_E_ALREADY_FORMATTED);
  EXPECT_EQ(format_file(), before);
}

TEST_F(ADirectory, is_formatted_over_a_formatting_that_was_interrupted) {
  std::ofstream(root_ / "format.new") << "half";
  ASSERT_TRUE(format_directory(*files_, identity_));
  EXPECT_EQ(read_identity(*files_).value(), identity_);
  EXPECT_FALSE(std::filesystem::exists(root_ / "format.new"));
}

TEST_F(ADirectory, remembers_that_it_served) {
  ASSERT_TRUE(format_directory(*files_, identity_));
  ASSERT_TRUE(mark_served(*files_, identity_));
  EXPECT_TRUE(identity_.served);
  EXPECT_EQ(read_identity(*files_).value(), identity_);
}

TEST_F(ADirectory, of_another_cluster_or_node_is_refused) {
  Identity other = identity_;
  other.cluster[0] = 99;
  EXPECT_EQ(check_identity(*files_, identity_, other).error().code, BOP_E_FOREIGN_DIRECTORY);
  other = identity_;
  other.node = 4;
  EXPECT_EQ(check_identity(*files_, identity_, other).error().code, BOP_E_FOREIGN_DIRECTORY);
  other = identity_;
  other.bootstrap.low ^= 1;
  EXPECT_EQ(check_identity(*files_, identity_, other).error().code, BOP_E_BAD_CONFIG);
  other = identity_;
  other.formation.low ^= 1;
  EXPECT_EQ(check_identity(*files_, identity_, other).error().code, BOP_E_BAD_CONFIG);
  Identity served = identity_;
  served.served = true;
  EXPECT_TRUE(check_identity(*files_, served, other));
  other = identity_;
  other.incarnation = 5;  // the configuration does not know it
  EXPECT_TRUE(check_identity(*files_, identity_, other));
}

TEST_F(ADirectory, of_a_newer_format_is_refused_whatever_follows) {
  ASSERT_TRUE(format_directory(*files_, identity_));
  std::string bytes = format_file();
  bytes[8] = 3;
  write_format_file(bytes + "and more");
  EXPECT_EQ(read_error(), BOP_E_NEWER_FORMAT);
}

TEST_F(ADirectory, of_an_older_format_is_refused_by_name) {
  ASSERT_TRUE(format_directory(*files_, identity_));
  std::string bytes = format_file();
  bytes[8] = 1;
  write_format_file(bytes.substr(0, 72));
  EXPECT_EQ(read_error(), BOP_E_OLDER_FORMAT);
}

TEST_F(ADirectory, shows_every_flipped_bit_of_its_format_file) {
  ASSERT_TRUE(format_directory(*files_, identity_));
  const std::string bytes = format_file();
  ASSERT_EQ(bytes.size(), 88u);
  for (size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    std::string flipped = bytes;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
    write_format_file(flipped);
    const bop_status error = read_error();
    ASSERT_TRUE(error == BOP_E_DAMAGED || error == BOP_E_NEWER_FORMAT) << "bit " << bit;
  }
}

TEST_F(ADirectory, with_a_format_file_of_another_length_is_damaged) {
  ASSERT_TRUE(format_directory(*files_, identity_));
  const std::string bytes = format_file();
  for (size_t size = 0; size < bytes.size(); ++size) {
    write_format_file(bytes.substr(0, size));
    ASSERT_EQ(read_error(), BOP_E_DAMAGED) << size;
  }
  write_format_file(bytes + "x");
  EXPECT_EQ(read_error(), BOP_E_DAMAGED);
}

TEST(TheFormationDigest, sees_every_part_of_a_group) {
  const FormationGroup group{1, "kv", "kv", {1, 2, 3}};
  const Hash128 digest = formation_digest({group});
  EXPECT_EQ(formation_digest({group}), digest);
  std::vector<FormationGroup> others(5, group);
  others[0].id = 2;
  others[1].name = "kw";
  others[2].machine = "sql";
  others[3].voters = {1, 2};
  others[4].name = "k", others[4].machine = "vkv";
  for (const FormationGroup& other : others) EXPECT_NE(formation_digest({other}), digest);
  EXPECT_NE(formation_digest({group, others[0]}), digest);
}

TEST(TheBootstrapDigest, covers_the_system_group_alone) {
  const FormationGroup system{system_group, "kv", "kv", {1, 2, 3}};
  const FormationGroup other{2, "more", "kv", {1, 2}};
  EXPECT_EQ(bootstrap_digest({system, other}), bootstrap_digest({system}));
  FormationGroup changed = system;
  changed.voters = {1, 2};
  EXPECT_NE(bootstrap_digest({changed, other}), bootstrap_digest({system, other}));
}

TEST(TheLogId, differs_by_incarnation_and_shard) {
  Identity identity;
  identity.node = 1;
  Identity again = identity;
  again.incarnation = 1;
  EXPECT_NE(log_id(identity, 0), log_id(identity, 1));
  EXPECT_NE(log_id(identity, 0), log_id(again, 0));
  EXPECT_EQ(log_id(identity, 0), log_id(identity, 0));
}

}  // namespace
}  // namespace bop::node

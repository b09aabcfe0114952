#include "node/incarnations.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "io/file/file_system.h"
#include "io/loop.h"

namespace bop::node {
namespace {

class IncarnationsTest : public testing::Test {
 protected:
  IncarnationsTest() {
    std::string pattern = (std::filesystem::temp_directory_path() / "bop-peers-XXXXXX").string();
    root_ = mkdtemp(pattern.data());
    auto opened = io::open_file_system(loop_, root_, {.backend = io::FileBackend::pool});
    files_ = std::move(*opened);
  }
  ~IncarnationsTest() override {
    files_.reset();
    std::filesystem::remove_all(root_);
  }

  void write(const std::string& bytes) {
    std::ofstream(root_ + "/peers", std::ios::binary) << bytes;
  }
  std::string read() {
    std::ifstream in(root_ + "/peers", std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }

  io::Loop loop_;
  std::string root_;
  std::unique_ptr<io::FileSystem> files_;
};

TEST_F(IncarnationsTest, nobody_is_known_in_a_new_directory) {
  auto known = Incarnations::load(*files_);
  ASSERT_TRUE(known);
  EXPECT_FALSE(known->changed());
}

TEST_F(IncarnationsTest, a_peer_is_remembered_across_restarts_and_a_changed_one_refused) {
  auto known = Incarnations::load(*files_);
  ASSERT_TRUE(known->verify(2, 77));
  ASSERT_TRUE(known->verify(3, 88));
  EXPECT_TRUE(known->changed());
  ASSERT_TRUE(known->save(*files_));
  ASSERT_TRUE(known->save(*files_));  // again: the file is replaced

  auto again = Incarnations::load(*files_);
  ASSERT_TRUE(again);
  EXPECT_TRUE(again->verify(2, 77));
  EXPECT_FALSE(again->changed());
  const Status refused = again->verify(3, 89);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, BOP_E_WRONG_INCARNATION);
  EXPECT_TRUE(again->verify(3, 88));
}

TEST_F(IncarnationsTest, a_peer_is_unsaved_until_a_save_of_it_succeeded) {
  auto known = Incarnations::load(*files_);
  ASSERT_TRUE(known->verify(2, 77));
  known->begin_save();
  known->end_save(false);
  EXPECT_TRUE(known->changed());
  known->begin_save();
  ASSERT_TRUE(known->verify(3, 88));  // while the save is under way, with a copy
  known->end_save(true);
  EXPECT_TRUE(known->changed());
  known->begin_save();
  known->end_save(true);
  EXPECT_FALSE(known->changed());
}

TEST_F(IncarnationsTest, every_damaged_byte_is_noticed) {
  auto known = Incarnations::load(*files_);
  ASSERT_TRUE(known->verify(2, 77));
  ASSERT_TRUE(known->save(*files_));
  const std::string whole = read();
  for (size_t at = 0; at < whole.size(); ++at) {
    std::string bytes = whole;
    bytes[at] = static_cast<char>(bytes[at] ^ 0x40);
    write(bytes);
    EXPECT_FALSE(Incarnations::load(*files_)) << "byte " << at;
    write(whole.substr(0, at));
    EXPECT_FALSE(Incarnations::load(*files_)) << "cut at " << at;
  }
}

TEST_F(IncarnationsTest, a_newer_version_is_refused_by_name) {
  auto known = Incarnations::load(*files_);
  ASSERT_TRUE(known->verify(2, 77));
  ASSERT_TRUE(known->save(*files_));
  std::string bytes = read();
  bytes[8] = 2;
  write(bytes);
  auto loaded = Incarnations::load(*files_);
  ASSERT_FALSE(loaded);
  EXPECT_EQ(loaded.error().code, BOP_E_NEWER_FORMAT);
}

}  // namespace
}  // namespace bop::node

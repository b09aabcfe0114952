#include "mem/map_guard.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

namespace bop::mem {
namespace {

constexpr size_t page = 4096;
constexpr size_t pages = 16;

// A file of 16 pages, each full of its number, and a map of it and of a page past its end.
class MapGuardTest : public testing::Test {
 protected:
  MapGuardTest() {
    path_ = testing::TempDir() + "bop-map-XXXXXX";
    file_ = mkstemp(path_.data());
    for (size_t i = 0; i < pages; ++i) {
      const std::string content(page, static_cast<char>('a' + i));
      EXPECT_EQ(write(file_, content.data(), page), static_cast<ssize_t>(page));
    }
    map_ = static_cast<const volatile char*>(
        mmap(nullptr, (pages + 1) * page, PROT_READ, MAP_SHARED, file_, 0));
    EXPECT_NE(map_, MAP_FAILED);
  }
  ~MapGuardTest() override {
    munmap(const_cast<char*>(map_), (pages + 1) * page);
    close(file_);
    unlink(path_.c_str());
  }

  std::string path_;
  int file_ = -1;
  const volatile char* map_ = nullptr;
};

TEST_F(MapGuardTest, finds_the_map_also_in_several_pieces) {
  // The kernel lists pieces of different advice separately.
  ASSERT_EQ(madvise(const_cast<char*>(map_) + 4 * page, 4 * page, MADV_RANDOM), 0);
  const MapGuard guard(file_);
  EXPECT_EQ(guard.map().size(), (pages + 1) * page);
  EXPECT_EQ(guard.map().data(), reinterpret_cast<const uint8_t*>(const_cast<char*>(map_)));
  EXPECT_FALSE(guard.unreadable());
}

TEST_F(MapGuardTest, a_page_that_was_cut_off_reads_as_zeros_and_is_named) {
  const MapGuard guard(file_);
  EXPECT_EQ(map_[9 * page], 'j');
  ASSERT_EQ(ftruncate(file_, 8 * page), 0);
  EXPECT_EQ(map_[9 * page + 5], 0);
  EXPECT_EQ(guard.unreadable(), 9 * page);
  EXPECT_EQ(map_[7 * page], 'h');
  EXPECT_EQ(map_[pages * page], 0) << "a page past the end of the file";
}

TEST_F(MapGuardTest, a_guard_of_another_file_notices_nothing) {
  std::string other = testing::TempDir() + "bop-map-XXXXXX";
  const int file = mkstemp(other.data());
  ASSERT_EQ(ftruncate(file, page), 0);
  void* map = mmap(nullptr, page, PROT_READ, MAP_SHARED, file, 0);
  {
    const MapGuard guard(file_);
    const MapGuard second(file);
    ASSERT_EQ(ftruncate(file, 0), 0);
    EXPECT_EQ(*static_cast<const volatile char*>(map), 0);
    EXPECT_FALSE(guard.unreadable());
    EXPECT_EQ(second.unreadable(), 0u);
  }
  munmap(map, page);
  close(file);
  unlink(other.c_str());
}

TEST_F(MapGuardTest, an_unguarded_map_still_ends_the_process) {
  {
    const MapGuard ended(file_);
  }  // the handler is installed
  const pid_t child = fork();
  ASSERT_NE(child, -1);
  if (child == 0) {
    (void)map_[pages * page];
    _exit(0);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  // A sanitizer reports the signal and exits with an error.
  const bool by_signal = WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS;
  EXPECT_TRUE(by_signal || (WIFEXITED(status) && WEXITSTATUS(status) != 0)) << status;
}

}  // namespace
}  // namespace bop::mem

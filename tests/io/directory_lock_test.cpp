#include "io/directory_lock.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <optional>

#include "temporary_directory.h"

namespace bop::io {
namespace {

TEST(DirectoryLock, a_second_holder_is_refused_and_told_who_holds_it) {
  tests::TemporaryDirectory directory;
  auto first = DirectoryLock::take(directory.path());
  ASSERT_TRUE(first.has_value()) << first.error().to_string();
  auto second = DirectoryLock::take(directory.path());
  ASSERT_FALSE(second.has_value());
  EXPECT_EQ(second.error().code, BOP_E_DIRECTORY_IN_USE);
  EXPECT_NE(second.error().detail.find(std::to_string(getpid())), std::string::npos);
  EXPECT_NE(second.error().detail.find(directory.path()), std::string::npos);
}

TEST(DirectoryLock, it_ends_with_its_holder) {
  tests::TemporaryDirectory directory;
  {
    auto first = DirectoryLock::take(directory.path());
    ASSERT_TRUE(first.has_value());
    auto moved = std::move(*first);
    EXPECT_FALSE(DirectoryLock::take(directory.path()).has_value());
  }
  EXPECT_TRUE(DirectoryLock::take(directory.path()).has_value());
}

TEST(DirectoryLock, a_process_that_is_about_to_end_is_waited_for) {
  tests::TemporaryDirectory directory;
  int taken[2];
  ASSERT_EQ(pipe(taken), 0);
  const pid_t other = fork();
  if (other == 0) {
    const auto held = DirectoryLock::take(directory.path());
    const ssize_t told = write(taken[1], "x", 1);
    usleep(50'000);  // the longer, the surer it is seen; never too short to pass
    _exit(held && told == 1 ? 0 : 1);
  }
  char byte;
  ASSERT_EQ(read(taken[0], &byte, 1), 1);
  EXPECT_TRUE(DirectoryLock::take(directory.path()).has_value());
  int status = 1;
  EXPECT_EQ(waitpid(other, &status, 0), other);
  EXPECT_EQ(status, 0);
  close(taken[0]);
  close(taken[1]);
}

TEST(DirectoryLock, a_directory_that_is_not_there_is_an_error) {
  EXPECT_EQ(DirectoryLock::take("/nonexistent/directory").error().code, BOP_E_NOT_FOUND);
}

}  // namespace
}  // namespace bop::io

#include "io/directory_lock.h"

#include <gtest/gtest.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <string>
#include <thread>
#include <utility>

#include "temporary_directory.h"

namespace bop::io {
namespace {

TEST(DirectoryLock, a_second_process_is_refused_with_the_id_of_the_holder) {
  tests::TemporaryDirectory directory;
  auto first = DirectoryLock::take(directory.path());
  ASSERT_TRUE(first.has_value()) << first.error().to_string();
  auto second = DirectoryLock::take(directory.path());
  ASSERT_FALSE(second.has_value());
  EXPECT_EQ(second.error().code, BOP_E_DIRECTORY_IN_USE);
  EXPECT_NE(second.error().detail.find(std::to_string(getpid())), std::string::npos);
  EXPECT_NE(second.error().detail.find(directory.path()), std::string::npos);
}

TEST(DirectoryLock, is_released_when_its_holder_ends) {
  tests::TemporaryDirectory directory;
  {
    auto first = DirectoryLock::take(directory.path());
    ASSERT_TRUE(first.has_value());
    auto moved = std::move(*first);
    EXPECT_FALSE(DirectoryLock::take(directory.path()).has_value());
  }
  EXPECT_TRUE(DirectoryLock::take(directory.path()).has_value());
}

// A process that takes the lock and keeps it until end().
class Holder {
 public:
  explicit Holder(const std::string& directory) {
    int taken[2], kept[2];
    EXPECT_EQ(pipe(taken), 0);
    EXPECT_EQ(pipe(kept), 0);
    process_ = fork();
    if (process_ == 0) {
      close(kept[1]);
      const auto held = DirectoryLock::take(directory);
      char byte = 'x';
      const bool told = write(taken[1], &byte, 1) == 1;
      const bool ended = read(kept[0], &byte, 1) == 0;
      _exit(held && told && ended ? 0 : 1);
    }
    close(taken[1]);
    close(kept[0]);
    kept_ = kept[1];
    char byte;
    EXPECT_EQ(read(taken[0], &byte, 1), 1);
    close(taken[0]);
  }
  void end() {
    close(kept_);
    int status = 1;
    EXPECT_EQ(waitpid(process_, &status, 0), process_);
    EXPECT_EQ(status, 0);
  }

 private:
  pid_t process_ = 0;
  int kept_ = 0;
};

TEST(DirectoryLock, waits_for_a_process_that_is_about_to_end) {
  tests::TemporaryDirectory directory;
  Holder holder(directory.path());
  bool ended = false;
  const auto taken = DirectoryLock::take(directory.path(), [&] {
    if (!std::exchange(ended, true)) holder.end();
    return true;
  });
  EXPECT_TRUE(taken.has_value());
  EXPECT_TRUE(ended) << "it was not tried while the other held it";
}

TEST(DirectoryLock, is_refused_when_patience_ends) {
  tests::TemporaryDirectory directory;
  Holder holder(directory.path());
  int tries = 0;
  const auto taken = DirectoryLock::take(directory.path(), [&] { return ++tries < 3; });
  ASSERT_FALSE(taken.has_value());
  EXPECT_EQ(taken.error().code, BOP_E_DIRECTORY_IN_USE);
  EXPECT_EQ(tries, 3);
  holder.end();
}

// A process whose first thread has ended, like a killed process with another thread that waits for the disk.
TEST(DirectoryLock, waits_until_the_last_thread_of_a_killed_process_has_ended) {
  tests::TemporaryDirectory directory;
  int taken[2];
  ASSERT_EQ(pipe(taken), 0);
  const pid_t process = fork();
  if (process == 0) {
    const auto held = DirectoryLock::take(directory.path());
    std::thread([] {
      usleep(500'000);
      _exit(0);
    }).detach();
    const ssize_t told = write(taken[1], held ? "y" : "n", 1);
    syscall(SYS_exit, told == 1 ? 0 : 1);
  }
  char held = 'n';
  ASSERT_EQ(read(taken[0], &held, 1), 1);
  ASSERT_EQ(held, 'y');
  // Waits by its own patience until the first thread has ended.
  int tries = 0;
  const auto state = "/proc/" + std::to_string(process) + "/stat";
  const auto first_thread_lives = [&] {
    std::ifstream file(state);
    std::string text;
    std::getline(file, text);
    ++tries;
    return text.find(") Z ") == text.npos;
  };
  EXPECT_TRUE(DirectoryLock::take(directory.path(), first_thread_lives).has_value());
  EXPECT_GT(tries, 1);
  EXPECT_EQ(waitpid(process, nullptr, 0), process);
  close(taken[0]);
  close(taken[1]);
}

TEST(DirectoryLock, of_a_missing_directory_is_an_error) {
  EXPECT_EQ(DirectoryLock::take("/nonexistent/directory").error().code, BOP_E_NOT_FOUND);
}

}  // namespace
}  // namespace bop::io

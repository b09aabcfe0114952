#include "io/directory_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <utility>

#include "base/logging.h"
#include "io/file/os_error.h"

namespace bop::io {

namespace {

constexpr std::chrono::seconds longest_wait_for_an_ending(60);

std::string read_holder(int file) {
  char text[32];
  const ssize_t size = pread(file, text, sizeof text, 0);
  std::string holder(text, size > 0 ? static_cast<size_t>(size) : 0);
  while (holder.ends_with('\n')) holder.pop_back();
  return holder;
}

// Only for the error message of another process, so failures are ignored: a full disk must not keep a
// node from starting.
void write_holder(int file) {
  const std::string holder = std::to_string(getpid()) + "\n";
  if (ftruncate(file, 0) != 0) return;
  [[maybe_unused]] const ssize_t written = pwrite(file, holder.data(), holder.size(), 0);
}

#ifdef __linux__

// Whether that process has ended or was killed, although some of its threads are still in the kernel: a
// thread that waits for a slow disk cannot be interrupted.
bool is_ending(const std::string& process) {
  std::ifstream status("/proc/" + process + "/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("State:") && line.find_first_of("ZX") != line.npos) return true;
    if (!line.starts_with("SigPnd:") && !line.starts_with("ShdPnd:")) continue;
    const uint64_t pending = std::strtoull(line.c_str() + sizeof "SigPnd:", nullptr, 16);
    if ((pending >> (SIGKILL - 1) & 1) != 0) return true;
  }
  return false;
}

#else

bool is_ending(const std::string&) { return false; }

#endif

// 0, or an errno.
int lock(int file, const std::string& directory, const DirectoryLock::Patience& patience) {
  const auto began = std::chrono::steady_clock::now();
  bool told = false;
  while (flock(file, LOCK_EX | LOCK_NB) != 0) {
    const int error = errno;
    const std::string holder = read_holder(file);
    if (error != EWOULDBLOCK || holder == std::to_string(getpid())) return error;
    if (patience()) continue;
    const bool too_long = std::chrono::steady_clock::now() - began > longest_wait_for_an_ending;
    if (holder.empty() || !is_ending(holder) || too_long) return error;
    if (!std::exchange(told, true)) {
      logging::warning(
          "{} is in use by process {}, which was killed but has not ended yet: waiting up to {} s",
          directory, holder, longest_wait_for_an_ending.count());
    }
    usleep(10'000);
  }
  return 0;
}

}  // namespace

// A process that was killed holds the lock until its last thread has ended, which may be after its parent
// was notified.
DirectoryLock::Patience DirectoryLock::a_second() {
  return [tries = 100]() mutable {
    usleep(10'000);
    return tries-- > 0;
  };
}

Result<DirectoryLock> DirectoryLock::take(const std::string& directory, const Patience& patience) {
  const std::string path = (std::filesystem::path(directory) / "lock").string();
  Descriptor file(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!file) return os_failure(errno, "open", path);
  if (const int error = lock(file.get(), directory, patience); error != 0) {
    if (error != EWOULDBLOCK) return os_failure(error, "lock", path);
    const std::string holder = read_holder(file.get());
    return fail(BOP_E_DIRECTORY_IN_USE,
                directory + (holder.empty() ? "" : " is in use by process " + holder));
  }
  write_holder(file.get());
  return DirectoryLock(std::move(file));
}

}  // namespace bop::io

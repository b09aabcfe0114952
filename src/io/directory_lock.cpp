#include "io/directory_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <string>

#include "io/file/os_error.h"

namespace bop::io {

namespace {

std::string read_holder(int file) {
  char text[32];
  const ssize_t size = pread(file, text, sizeof text, 0);
  std::string holder(text, size > 0 ? static_cast<size_t>(size) : 0);
  while (holder.ends_with('\n')) holder.pop_back();
  return holder;
}

// Only for the other's message: a full disk must not keep a node from starting.
void write_holder(int file) {
  const std::string holder = std::to_string(getpid()) + "\n";
  if (ftruncate(file, 0) != 0) return;
  [[maybe_unused]] const ssize_t written = pwrite(file, holder.data(), holder.size(), 0);
}

// 0, or an errno.
int lock(int file, const DirectoryLock::Patience& patience) {
  while (flock(file, LOCK_EX | LOCK_NB) != 0) {
    const int error = errno;
    const bool ours = read_holder(file) == std::to_string(getpid());
    if (error != EWOULDBLOCK || ours || !patience()) return error;
  }
  return 0;
}

}  // namespace

// A process that was killed holds it until the last of its threads has ended, which is after the one
// that killed it was told so.
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
  if (const int error = lock(file.get(), patience); error != 0) {
    if (error != EWOULDBLOCK) return os_failure(error, "lock", path);
    const std::string holder = read_holder(file.get());
    return fail(BOP_E_DIRECTORY_IN_USE,
                directory + (holder.empty() ? "" : ", held by process " + holder));
  }
  write_holder(file.get());
  return DirectoryLock(std::move(file));
}

}  // namespace bop::io

#include "mem/page_cache.h"

#include <cerrno>

#ifdef __linux__
#include <fcntl.h>
#include <sys/stat.h>
#endif
#include <unistd.h>

namespace bop::mem {

#ifdef __linux__

int write_back(int file) {
  constexpr off_t piece_bytes = 4 << 20;
  constexpr unsigned whole =
      SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER;
  struct stat about;
  if (fstat(file, &about) != 0) return errno;
  for (off_t at = 0; at < about.st_size; at += piece_bytes) {
    if (sync_file_range(file, at, piece_bytes, whole) == 0) continue;
    return errno == ENOSYS ? 0 : errno;
  }
  return 0;
}

int allocate_blocks(int file, uint64_t from, uint64_t end) {
  if (end <= from) return 0;
  while (fallocate(file, FALLOC_FL_KEEP_SIZE, static_cast<off_t>(from),
                   static_cast<off_t>(end - from)) != 0) {
    if (errno == EINTR) continue;
    return errno == EOPNOTSUPP || errno == ENOSYS ? 0 : errno;
  }
  return 0;
}

#else

int write_back(int) { return 0; }
int allocate_blocks(int, uint64_t, uint64_t) { return 0; }

#endif

int read_fully(int file, uint64_t offset, std::span<uint8_t> out) {
  while (!out.empty()) {
    const ssize_t read = pread(file, out.data(), out.size(), static_cast<off_t>(offset));
    if (read == 0) return file_ends;
    if (read < 0) {
      if (errno == EINTR) continue;
      return errno;
    }
    out = out.subspan(static_cast<size_t>(read));
    offset += static_cast<uint64_t>(read);
  }
  return 0;
}

void read_ahead([[maybe_unused]] int file, [[maybe_unused]] uint64_t offset,
                [[maybe_unused]] uint64_t bytes) {
#ifdef __linux__
  posix_fadvise(file, static_cast<off_t>(offset), static_cast<off_t>(bytes), POSIX_FADV_WILLNEED);
#endif
}

}  // namespace bop::mem

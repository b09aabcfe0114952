#include "mem/page_cache.h"

#include <cerrno>

#ifdef __linux__
#include <fcntl.h>
#include <sys/stat.h>
#endif

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

}  // namespace bop::mem

// The host's file system, within one directory.
#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "base/time.h"
#include "io/loop.h"
#include "port/file.h"

namespace bop::io {

enum class FileBackend : uint8_t {
  automatic,  // io_uring; where it is unavailable, the pool, and a warning is logged
  uring,      // io_uring; where it is unavailable, opening fails with UNSUPPORTED and the reason
  pool,       // threads that block in system calls
};

struct FileSystemOptions {
  FileBackend backend = FileBackend::automatic;
  unsigned uring_entries = 128;  // operations in the kernel at a time; others wait in a queue
  unsigned pool_threads = 2;
  // How long opening a file for writing waits for the last write of a process that was killed.
  Duration lock_patience = 60 * seconds;
};

class FileSystem : public port::FileSystem {
 public:
  // "uring" or "pool".
  virtual const char* backend() const = 0;
  // No operation is in flight, so files may be closed.
  virtual bool at_rest() const = 0;
};

// Opens the directory `root`, which must exist. The names that the result takes are relative to it; an
// absolute name or one with ".." fails with INVALID_ARGUMENT. The loop must outlive the file system, and
// the file system its files.
Result<std::unique_ptr<FileSystem>> open_file_system(Loop& loop, const std::string& root,
                                                     const FileSystemOptions& options = {});

}  // namespace bop::io

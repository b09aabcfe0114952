// The host's file system, below one directory.
#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "base/time.h"
#include "io/loop.h"
#include "port/file.h"

namespace bop::io {

enum class FileBackend : uint8_t {
  automatic,  // uring where it can be had, else pool, and the log says why
  uring,      // or nothing: UNSUPPORTED with the reason
  pool,
};

struct FileSystemOptions {
  FileBackend backend = FileBackend::automatic;
  unsigned uring_entries = 128;  // operations in the kernel at a time; more wait their turn
  unsigned pool_threads = 2;
  // How long opening a file for writing waits for the last write of a process that was killed.
  Duration lock_patience = 60 * seconds;
};

class FileSystem : public port::FileSystem {
 public:
  // "uring" or "pool".
  virtual const char* backend() const = 0;
  // No operation of a file is under way: its files may be closed.
  virtual bool at_rest() const = 0;
};

// Opens `root`, which must exist. Names that the result takes are below it: an absolute one, or one
// with "..", is an INVALID_ARGUMENT. The loop must outlive it, and it its files.
Result<std::unique_ptr<FileSystem>> open_file_system(Loop& loop, const std::string& root,
                                                     const FileSystemOptions& options = {});

}  // namespace bop::io

// Holds a data directory against a second process: flock on DIRECTORY/lock, which the system lets go
// of when the process ends, however it ends.
#pragma once

#include <string>
#include <utility>

#include "base/result.h"
#include "io/file/descriptor.h"

namespace bop::io {

class DirectoryLock {
 public:
  // DIRECTORY_IN_USE, with the process id of the holder, after a second in which another process did
  // not let go of it; NOT_FOUND; IO. Blocks.
  static Result<DirectoryLock> take(const std::string& directory);

 private:
  explicit DirectoryLock(Descriptor file) : file_(std::move(file)) {}
  Descriptor file_;
};

}  // namespace bop::io

// Keeps a second process out of a data directory: flock on DIRECTORY/lock. The operating system releases
// it when the process has ended, however it ended.
#pragma once

#include <functional>
#include <string>
#include <utility>

#include "base/result.h"
#include "io/file/descriptor.h"

namespace bop::io {

class DirectoryLock {
 public:
  // Called before each further attempt while another process holds the lock; false: give up.
  using Patience = std::function<bool()>;
  static Patience a_second();

  // DIRECTORY_IN_USE, with the process id of the holder, when `patience` gave up; NOT_FOUND; IO. Blocks.
  // When the holder was killed but some of its threads still wait for the disk, it waits for up to 60 s,
  // whatever `patience` returns.
  static Result<DirectoryLock> take(const std::string& directory,
                                    const Patience& patience = a_second());

 private:
  explicit DirectoryLock(Descriptor file) : file_(std::move(file)) {}
  Descriptor file_;
};

}  // namespace bop::io

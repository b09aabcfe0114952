// Holds a data directory against a second process: flock on DIRECTORY/lock, which the system lets go
// of when the process ends, however it ends.
#pragma once

#include <functional>
#include <string>
#include <utility>

#include "base/result.h"
#include "io/file/descriptor.h"

namespace bop::io {

class DirectoryLock {
 public:
  // Called while another process holds it, before each further try; false: that was enough.
  using Patience = std::function<bool()>;
  static Patience a_second();

  // DIRECTORY_IN_USE, with the process id of the holder, when patience ended; NOT_FOUND; IO. Blocks.
  // A holder that was killed and whose threads still wait for the disk is given 60 s beyond that.
  static Result<DirectoryLock> take(const std::string& directory,
                                    const Patience& patience = a_second());

 private:
  explicit DirectoryLock(Descriptor file) : file_(std::move(file)) {}
  Descriptor file_;
};

}  // namespace bop::io

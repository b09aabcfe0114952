#include "io/file/operation.h"

#include <cerrno>
#include <utility>

#include "io/file/posix_file.h"

namespace bop::io {

bool Operation::note(int64_t result) {
  if (result < 0) {
    if (result == -EINTR) return false;
    error_number = static_cast<int>(-result);
    return true;
  }
  auto bytes = static_cast<size_t>(result);
  transferred += bytes;
  offset += bytes;
  for (; first_part < parts.size(); ++first_part) {
    iovec& part = parts[first_part];
    if (bytes < part.iov_len) {
      part.iov_base = static_cast<uint8_t*>(part.iov_base) + bytes;
      part.iov_len -= bytes;
      break;
    }
    bytes -= part.iov_len;
  }
  if (first_part == parts.size()) return true;
  if (result > 0) return false;
  // No byte was transferred: a read has reached the end of the file, and a write cannot make progress.
  if (kind == Kind::write) error_number = EIO;
  return true;
}

void Engine::refuse(Operation& operation) {
  post([&operation] { PosixFile::finish(operation); });
}

void Engine::post(std::function<void()> task) {
  loop_.post([alive = alive_, task = std::move(task)] {
    if (*alive) task();
  });
}

Operation& OperationPool::take() {
  if (free_.empty()) {
    all_.push_back(std::make_unique<Operation>());
    free_.reserve(all_.size());
    return *all_.back();
  }
  Operation& operation = *free_.back();
  free_.pop_back();
  return operation;
}

void OperationPool::give_back(Operation& operation) {
  operation.parts.clear();
  operation.first_part = 0;
  operation.transferred = 0;
  operation.error_number = 0;
  operation.completion = nullptr;
  operation.file = nullptr;
  free_.push_back(&operation);
}

}  // namespace bop::io

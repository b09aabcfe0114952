// One read, write or sync of a file, and the backends that run it.
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "io/loop.h"
#include "port/file.h"

namespace bop::io {

class PosixFile;

// Made by PosixFile, then owned by the engine until it calls PosixFile::finish; reused after that.
struct Operation {
  enum class Kind : uint8_t { read, write, sync };

  Kind kind = Kind::sync;
  int descriptor = -1;
  uint64_t offset = 0;       // in the file, of the first byte that is not transferred yet
  size_t transferred = 0;    // bytes so far
  std::vector<iovec> parts;  // memory of the operation; keeps its storage when reused
  size_t first_part = 0;     // the first part that is not transferred completely
  int error_number = 0;      // an errno, 0: no error
  PosixFile* file = nullptr;
  port::FileCompletion* completion = nullptr;

  std::span<iovec> left() { return std::span(parts).subspan(first_part); }

  // Records the result of one system call: a number of bytes, or a negated errno. True: the operation has
  // ended. False: the rest has to be submitted again.
  bool note(int64_t result);
};

// Runs operations. All functions are called on the loop's thread.
class Engine {
 public:
  explicit Engine(Loop& loop) : loop_(loop) {}
  virtual ~Engine() { *alive_ = false; }
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  virtual const char* name() const = 0;
  // Calls PosixFile::finish later, from the loop, never from within.
  virtual void start(Operation& operation) = 0;
  // The same for an operation that already has an error_number and must not reach the system.
  void refuse(Operation& operation);

 protected:
  // Posts `task`, which does not run if the engine has been destroyed by then.
  void post(std::function<void()> task);

  Loop& loop_;

 private:
  const std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // used on the loop's thread
};

// Reuses operations, so that a write allocates nothing in the long run.
class OperationPool {
 public:
  Operation& take();
  void give_back(Operation& operation);
  bool at_rest() const { return free_.size() == all_.size(); }

 private:
  std::vector<std::unique_ptr<Operation>> all_;
  std::vector<Operation*> free_;
};

}  // namespace bop::io

// One read, write or sync on its way through a backend.
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

// Made by PosixFile, owned by the engine until it hands it to PosixFile::finish; then reused.
struct Operation {
  enum class Kind : uint8_t { read, write, sync };

  Kind kind = Kind::sync;
  int descriptor = -1;
  uint64_t offset = 0;       // of what is left to transfer
  size_t transferred = 0;    // bytes so far
  std::vector<iovec> parts;  // what is left; keeps its storage when reused
  size_t first_part = 0;     // index into parts
  int error_number = 0;      // set by the engine: 0 or why it failed
  PosixFile* file = nullptr;
  port::FileCompletion* completion = nullptr;

  std::span<iovec> left() { return std::span(parts).subspan(first_part); }

  // Takes note of what one system call did: bytes, or an error number below 0. True when the
  // operation is over, false when the rest has to be submitted again.
  bool note(int64_t result);
};

// Runs operations. Everything here is called on the loop's thread.
class Engine {
 public:
  explicit Engine(Loop& loop) : loop_(loop) {}
  virtual ~Engine() { *alive_ = false; }
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  virtual const char* name() const = 0;
  // Calls PosixFile::finish later, from the loop, never from within.
  virtual void start(Operation& operation) = 0;
  // The same for an operation whose error_number is set before it reaches the system.
  void refuse(Operation& operation);

 protected:
  // Posts `task`, which does not run when the engine is gone by then.
  void post(std::function<void()> task);

  Loop& loop_;

 private:
  const std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // of the loop's thread
};

// Operations are reused, so that a write allocates nothing once the loop has warmed up.
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

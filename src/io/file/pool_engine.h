// The backend that works on every system: a few threads that block in preadv, pwritev and fdatasync.
#pragma once

#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <vector>

#include "io/file/operation.h"
#include "io/loop.h"
#include "io/thread.h"

namespace bop::io {

class PoolEngine final : public Engine {
 public:
  // Errors: those of start_thread.
  static Result<std::unique_ptr<PoolEngine>> make(Loop& loop, unsigned threads);
  // Waits for the operations that run; their completions are not called any more.
  ~PoolEngine() override;

  const char* name() const override { return "pool"; }
  void start(Operation& operation) override;

 private:
  explicit PoolEngine(Loop& loop) : Engine(loop) {}
  void run();
  void finish(Operation& operation);
  void deliver();

  std::vector<Operation*> delivering_;  // used on the loop's thread

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Operation*> waiting_;
  std::vector<Operation*> finished_;
  bool stopping_ = false;
  std::vector<Thread> threads_;
};

}  // namespace bop::io

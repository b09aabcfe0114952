// Starts bop's threads: each has a name and a stack of a fixed size, and blocks the host program's signals.
#pragma once

#include <pthread.h>

#include <functional>

#include "base/result.h"

namespace bop::io {

// A running thread, or none. Join it before it is destroyed.
class Thread {
 public:
  Thread() = default;
  Thread(Thread&& other) noexcept;
  Thread& operator=(Thread&& other) noexcept;
  ~Thread();

  bool joinable() const { return joinable_; }
  void join();
  bool is_current() const;

 private:
  friend Result<Thread> start_thread(const char* name, std::function<void()> run);
  explicit Thread(pthread_t handle) : handle_(handle), joinable_(true) {}

  pthread_t handle_{};
  bool joinable_ = false;
};

// `name`: at most 15 characters. The thread blocks every signal that a program could handle, so that the
// host program's handlers run on its own threads, and a write beyond RLIMIT_FSIZE fails with EFBIG
// instead of raising SIGXFSZ. Its stack has 1 MiB.
// Errors: OVERLOADED if the system has no resources for a thread. The message names the thread and the limit to
// raise, and the caller's signal mask is as before.
Result<Thread> start_thread(const char* name, std::function<void()> run);

// Blocks SIGXFSZ alone in the calling thread: for a loop that runs on a thread of the host program.
void block_file_size_signal();

}  // namespace bop::io

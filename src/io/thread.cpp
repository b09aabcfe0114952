#include "io/thread.h"

#include <pthread.h>
#include <signal.h>

#include <utility>

namespace bop::io {

namespace {

sigset_t signals_to_block() {
  sigset_t signals;
  sigfillset(&signals);
  for (int fault : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGPROF}) {
    sigdelset(&signals, fault);
  }
  return signals;
}

}  // namespace

std::thread start_thread(const char* name, std::function<void()> run) {
  // The new thread inherits the mask, so that no signal reaches it before it could block it.
  const sigset_t blocked = signals_to_block();
  sigset_t before;
  pthread_sigmask(SIG_BLOCK, &blocked, &before);
  std::thread thread(std::move(run));
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  pthread_setname_np(thread.native_handle(), name);
  return thread;
}

void block_file_size_signal() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGXFSZ);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
}

}  // namespace bop::io

#include "io/thread.h"

#include <fmt/format.h>
#include <signal.h>
#include <sys/mman.h>

#include <memory>
#include <string>
#include <system_error>
#include <utility>

#include "base/assert.h"

namespace bop::io {

namespace {

// The system's default, 8 MiB, would be most of the address space of a small node. The sanitizers' stack frames are
// several times as large.
#if defined(__has_feature)
#define BOP_HAS_FEATURE(name) __has_feature(name)
#else
#define BOP_HAS_FEATURE(name) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || \
    BOP_HAS_FEATURE(address_sanitizer) || BOP_HAS_FEATURE(thread_sanitizer)
constexpr size_t stack_bytes = 8 << 20;
#else
constexpr size_t stack_bytes = 1 << 20;
#endif

sigset_t signals_to_block() {
  sigset_t signals;
  sigfillset(&signals);
  for (int fault : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGPROF}) {
    sigdelset(&signals, fault);
  }
  return signals;
}

struct Start {
  const std::string name;
  const std::function<void()> run;
};

// Sets its name itself, so that it has it before it does anything else.
void* enter(void* argument) noexcept {
  const std::unique_ptr<Start> start(static_cast<Start*>(argument));
  pthread_setname_np(pthread_self(), start->name.c_str());
  start->run();
  return nullptr;
}

int create(pthread_t& handle, Start* start) {
  pthread_attr_t attributes;
  if (const int error = pthread_attr_init(&attributes); error != 0) return error;
  pthread_attr_setstacksize(&attributes, stack_bytes);
  // The new thread inherits the mask, so that no signal reaches it before it could block it.
  const sigset_t blocked = signals_to_block();
  sigset_t before;
  pthread_sigmask(SIG_BLOCK, &blocked, &before);
  const int error = pthread_create(&handle, &attributes, enter, start);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  pthread_attr_destroy(&attributes);
  return error;
}

// pthread_create returns EAGAIN whatever it lacks. Whether that is memory shows in a mapping of the same size.
const char* limit_to_raise() {
  void* stack =
      mmap(nullptr, stack_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (stack == MAP_FAILED) return "the address space (ulimit -v), or memory (vm.overcommit_memory)";
  munmap(stack, stack_bytes);
  return "the number of threads (ulimit -u, pids.max of the cgroup, kernel.threads-max)";
}

}  // namespace

Result<Thread> start_thread(const char* name, std::function<void()> run) {
  auto start = std::make_unique<Start>(name, std::move(run));
  pthread_t handle;
  const int error = create(handle, start.get());
  if (error != 0) {
    return fail(BOP_E_OVERLOADED,
                fmt::format("thread {} cannot be started: {}; raise the limit of {}", name,
                            std::generic_category().message(error), limit_to_raise()));
  }
  (void)start.release();  // the thread's
  return Thread(handle);
}

Thread::Thread(Thread&& other) noexcept
    : handle_(other.handle_), joinable_(std::exchange(other.joinable_, false)) {}

Thread& Thread::operator=(Thread&& other) noexcept {
  BOP_ASSERT(!joinable_);
  handle_ = other.handle_;
  joinable_ = std::exchange(other.joinable_, false);
  return *this;
}

Thread::~Thread() { BOP_ASSERT(!joinable_); }

void Thread::join() {
  BOP_ASSERT(joinable_);
  const int error = pthread_join(handle_, nullptr);
  BOP_ASSERT_EQ(error, 0);
  joinable_ = false;
}

bool Thread::is_current() const { return joinable_ && pthread_equal(handle_, pthread_self()) != 0; }

void block_file_size_signal() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGXFSZ);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
}

}  // namespace bop::io

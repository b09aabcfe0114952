#include "io/thread.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

namespace bop::io {
namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool sanitized = true;
#elif defined(__has_feature)
constexpr bool sanitized = __has_feature(address_sanitizer) || __has_feature(thread_sanitizer);
#else
constexpr bool sanitized = false;
#endif

sigset_t mask() {
  sigset_t now;
  pthread_sigmask(SIG_BLOCK, nullptr, &now);
  return now;
}

bool is_open(int signal) {
  const sigset_t now = mask();
  return sigismember(&now, signal) == 0;
}

// Runs `body` in a process of its own, whose limits it may change; 0: all is well.
int exit_code_of(int (*body)()) {
  const pid_t child = fork();
  if (child == 0) _exit(body());
  int status = 0;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status)) << status;
  return WEXITSTATUS(status);
}

void limit(__rlimit_resource resource, rlim_t to) {
  rlimit limit;
  getrlimit(resource, &limit);
  limit.rlim_cur = std::min(to, limit.rlim_max);
  setrlimit(resource, &limit);
}

// 0: a thread was refused with a message that has `text`, and the caller's signal mask is as before.
int refused_with(const char* text) {
  // The first ones may get stacks of threads that ended before.
  static std::vector<Thread> running;
  Result<Thread> refused = start_thread("bop-test", [] { pause(); });
  while (refused && running.size() < 100) {
    running.push_back(std::move(*refused));
    refused = start_thread("bop-test", [] { pause(); });
  }
  if (refused) return 1;
  if (refused.error().code != BOP_E_OVERLOADED) return 2;
  std::fprintf(stderr, "%s\n", refused.error().detail.c_str());
  if (refused.error().detail.find("thread bop-test cannot be started: ") != 0) return 3;
  if (refused.error().detail.find(text) == std::string::npos) return 4;
  return is_open(SIGTERM) && is_open(SIGUSR1) ? 0 : 5;
}

TEST(Thread, has_its_name_a_fixed_stack_and_no_signals_of_its_host) {
  std::string name;
  size_t stack_bytes = 0;
  bool terminates = true, faults = false;
  Result<Thread> thread = start_thread("bop-test", [&] {
    char text[16];
    pthread_getname_np(pthread_self(), text, sizeof text);
    name = text;
    pthread_attr_t attributes;
    pthread_getattr_np(pthread_self(), &attributes);
    pthread_attr_getstacksize(&attributes, &stack_bytes);
    pthread_attr_destroy(&attributes);
    terminates = is_open(SIGTERM);
    faults = is_open(SIGSEGV);
  });
  ASSERT_TRUE(thread);
  EXPECT_FALSE(thread->is_current());
  thread->join();
  EXPECT_FALSE(thread->joinable());
  EXPECT_EQ(name, "bop-test");
  EXPECT_EQ(stack_bytes, sanitized ? 8u << 20 : 1u << 20);
  EXPECT_FALSE(terminates);
  EXPECT_TRUE(faults);
  EXPECT_TRUE(is_open(SIGTERM));
}

TEST(Thread, that_the_address_space_has_no_room_for_is_an_error_which_names_the_limit) {
  if (sanitized) GTEST_SKIP() << "sanitizers need the address space that this test takes away";
  EXPECT_EQ(exit_code_of([] {
              std::ifstream statm("/proc/self/statm");
              uint64_t pages = 0;
              statm >> pages;
              limit(RLIMIT_AS, pages * 4096 + (512u << 10));
              const int refused = refused_with("ulimit -v");
              if (refused != 0) return refused;
              limit(RLIMIT_AS, RLIM_INFINITY);
              Result<Thread> thread = start_thread("bop-test", [] {});
              if (!thread) return 6;
              thread->join();
              return 0;
            }),
            0);
}

TEST(Thread, beyond_the_limit_of_threads_is_an_error_which_names_the_limit) {
  EXPECT_EQ(exit_code_of([] {
              // The superuser has no such limit. No other process has this user.
              if (getuid() == 0 && setuid(100000 + static_cast<uid_t>(getpid())) != 0) return 7;
              limit(RLIMIT_NPROC, 1);
              return refused_with("ulimit -u");
            }),
            0);
}

}  // namespace
}  // namespace bop::io

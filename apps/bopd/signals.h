// Signals as events: blocked in every thread, taken by the one that waits for them.
#pragma once

#include <csignal>
#include <ctime>

// Before any thread is started. A closed pipe or connection is an error where it is written to.
inline sigset_t block_signals() {
  std::signal(SIGPIPE, SIG_IGN);
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGCHLD}) {
    // nohup means it: a SIGHUP that is ignored stays so. Blocked, it would be kept for who waits.
    struct sigaction inherited{};
    if (signal == SIGHUP && sigaction(SIGHUP, nullptr, &inherited) == 0 &&
        inherited.sa_handler == SIG_IGN) {
      continue;
    }
    sigaddset(&signals, signal);
  }
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  return signals;
}

inline bool is_stop(int signal) { return signal == SIGINT || signal == SIGTERM; }

// The next signal, or 0 when none came for so long.
inline int wait_for_signal(const sigset_t& signals, int timeout_ms) {
  const timespec timeout{timeout_ms / 1000, (timeout_ms % 1000) * 1000000l};
  const int signal = sigtimedwait(&signals, nullptr, &timeout);
  return signal > 0 ? signal : 0;
}

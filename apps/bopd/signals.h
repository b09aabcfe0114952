// Signals as events: blocked in every thread, and received by the thread that waits for them.
#pragma once

#include <csignal>
#include <ctime>

// Call it before any thread is started. SIGPIPE is ignored: writing to a closed pipe or connection returns an error.
inline sigset_t block_signals() {
  std::signal(SIGPIPE, SIG_IGN);
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGCHLD}) {
    // A SIGHUP that the parent ignores (nohup) stays ignored. If it were blocked, it would be delivered to the waiter.
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

// The next signal, or 0 if none arrives within the timeout.
inline int wait_for_signal(const sigset_t& signals, int timeout_ms) {
  const timespec timeout{timeout_ms / 1000, (timeout_ms % 1000) * 1000000l};
  const int signal = sigtimedwait(&signals, nullptr, &timeout);
  return signal > 0 ? signal : 0;
}

// bopd start, bopd format, bopd config.
#include <poll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstring>

#include "bop/bop.h"
#include "bop/node.h"
#include "command_line/command_line.h"
#include "commands.h"
#include "signals.h"
#include "supervisor.h"

namespace {

constexpr uint32_t grace_ms = 3000;  // time that a stop gives requests in progress
constexpr unsigned patience_s =
    4;  // time limit of a stop; then the process exits as if it had crashed

void log_message(int32_t level, const std::string& text) { bop_logging_write(level, text.c_str()); }

int32_t level_of(const std::string& name) {
  const char* names[] = {"debug", "info", "warning", "error"};
  for (int32_t level = 0; level < 4; ++level) {
    if (name == names[level]) return level;
  }
  return BOP_LOG_OFF;
}

using Logging = int32_t (*)(const bop_logging*, char*, size_t);

// Calls bop_logging_start or bop_logging_reload with the values of the logging.* keys.
int32_t apply_logging(Logging call, const bop_config* config, char* error, size_t capacity) {
  const std::string file = text_of(config, "logging.file");
  bop_logging logging{};
  logging.size = sizeof logging;
  logging.level = level_of(text_of(config, "logging.level"));
  logging.json = text_of(config, "logging.format") == "json" ? 1 : 0;
  logging.path = file.empty() ? nullptr : file.c_str();
  return call(&logging, error, capacity);
}

void reopen_log(const bop_config* config) {
  char error[1024] = "";
  const int32_t status = apply_logging(bop_logging_reload, config, error, sizeof error);
  if (status != BOP_OK) log_message(BOP_LOG_ERROR, std::string("logging.file: ") + error);
}

// Logs each changed key, and keeps in `running` what the node runs with from now on.
void take_over_changes(bop_config* running, const bop_config* next) {
  bop_config_item old{}, now{};
  old.size = now.size = sizeof now;
  for (size_t i = 0; bop_config_at(next, i, &now) == BOP_OK; ++i) {
    if (bop_config_at(running, i, &old) != BOP_OK || std::strcmp(old.value, now.value) == 0)
      continue;
    if (now.reloadable == 0) {
      log_message(
          BOP_LOG_WARNING,
          std::string(now.key) + " changed; the new value takes effect when the node is restarted");
    } else {
      log_message(BOP_LOG_INFO,
                  std::string(now.key) + " changed from " + old.value + " to " + now.value);
      set(running, now.key, now.text);
    }
  }
}

// SIGHUP. `loaded` is the configuration that the node runs with; an invalid new one leaves it unchanged.
void reload(const Sources& sources, bop_node* node, Loaded& loaded) {
  Loaded next = load(sources);
  char error[4096] = "";
  if (next.status == BOP_OK) {
    next.status = bop_node_check(next.config.get(), nullptr, error, sizeof error);
    next.error = error;
  }
  if (next.status != BOP_OK) {
    reopen_log(loaded.config.get());
    log_message(BOP_LOG_ERROR, "configuration not reloaded: " + next.error);
    return;
  }
  reopen_log(next.config.get());
  const int32_t status = bop_node_reload(node, next.config.get(), error, sizeof error);
  if (status != BOP_OK) {
    log_message(BOP_LOG_ERROR, std::string("configuration not reloaded: ") + error);
    return;
  }
  take_over_changes(loaded.config.get(), next.config.get());
  log_message(BOP_LOG_INFO, "configuration reloaded");
}

void log_addresses(const bop_node* node, const bop_config* config) {
  std::string line = std::string("bopd ") + bop_version() + ": node " + text_of(config, "node_id") +
                     " of cluster " + text_of(config, "cluster_id") + " serves";
  for (const char* listener : {"native", "resp", "http", "peer"}) {
    const char* address = bop_node_address(node, listener);
    if (address != nullptr) line += std::string(" ") + listener + " " + address;
  }
  log_message(BOP_LOG_INFO, line);
}

// Handler of SIGALRM. Standard error may be a pipe whose reader is stuck, which must not delay the exit.
void exit_at_once(int) {
  constexpr std::string_view message = "bopd: stopping took more than 4 s, exiting\n";
  static_assert(patience_s == 4);
  pollfd standard_error{STDERR_FILENO, POLLOUT, 0};
  if (poll(&standard_error, 1, 0) == 1) (void)!write(STDERR_FILENO, message.data(), message.size());
  _exit(failed);
}

// Ends the process if stopping takes too long. Acknowledged writes are durable either way. A signal, because a thread
// may not be available when it is needed (ulimit -u, ulimit -v).
void limit_stop() {
  struct sigaction action{};
  action.sa_handler = exit_at_once;
  sigaction(SIGALRM, &action, nullptr);
  sigset_t alarms;
  sigemptyset(&alarms);
  sigaddset(&alarms, SIGALRM);
  pthread_sigmask(SIG_UNBLOCK, &alarms, nullptr);
  alarm(patience_s);
}

// Handles signals until one that stops the node, and returns that one.
int serve(const sigset_t& signals, const Sources& sources, bop_node* node, Loaded& loaded,
          const Supervisor& supervisor) {
  for (;;) {
    const int signal = wait_for_signal(signals, 3600 * 1000);
    if (is_stop(signal)) return signal;
    if (signal == SIGUSR1) reopen_log(loaded.config.get());
    if (signal != SIGHUP) continue;
    supervisor.reloading();
    reload(sources, node, loaded);
    supervisor.ready();
  }
}

// Raises the soft limit of file descriptors to the hard limit: connections and log segments may need more.
void take_descriptors() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

}  // namespace

Exit start(const Sources& sources, int die_with) {
  if (die_with != 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != die_with) return failed;  // it died before prctl took effect
  }
  const sigset_t signals = block_signals();
  take_descriptors();
  const Supervisor supervisor;
  Loaded loaded = load(sources);
  if (loaded.status != BOP_OK) return complain(loaded.status, loaded.error);
  const bop_config* config = loaded.config.get();
  char error[4096] = "";
  int32_t status = bop_node_check(config, nullptr, error, sizeof error);
  if (status != BOP_OK) return complain(status, error);
  status = apply_logging(bop_logging_start, config, error, sizeof error);
  if (status != BOP_OK) return complain(status, error);

  bop_node* node = nullptr;
  status = bop_node_start(config, nullptr, &node, error, sizeof error);
  if (status != BOP_OK) {
    bop_logging_stop();
    return complain(status, error);
  }
  log_addresses(node, config);
  supervisor.ready();
  const int signal = serve(signals, sources, node, loaded, supervisor);
  supervisor.stopping();
  log_message(BOP_LOG_INFO, std::string("stopping on SIG") + sigabbrev_np(signal));
  limit_stop();
  bop_node_stop(node, grace_ms);
  log_message(BOP_LOG_INFO, "stopped");
  bop_logging_stop();
  alarm(0);
  return ok;
}

Exit format(const Sources& sources) {
  const Loaded loaded = load(sources);
  if (loaded.status != BOP_OK) return complain(loaded.status, loaded.error);
  char error[4096] = "";
  int32_t status = bop_node_check(loaded.config.get(), nullptr, error, sizeof error);
  if (status == BOP_OK) status = bop_node_format(loaded.config.get(), error, sizeof error);
  if (status != BOP_OK) return complain(status, error);
  std::printf("formatted %s for node %s of cluster %s\n",
              text_of(loaded.config.get(), "data_directory").c_str(),
              text_of(loaded.config.get(), "node_id").c_str(),
              text_of(loaded.config.get(), "cluster_id").c_str());
  return ok;
}

Exit check_config(const Sources& sources) {
  const Loaded loaded = load(sources);
  if (loaded.status != BOP_OK) return complain(loaded.status, loaded.error);
  char error[4096] = "";
  const int32_t status = bop_node_check(loaded.config.get(), nullptr, error, sizeof error);
  if (status != BOP_OK) return complain(status, error);
  std::printf("the configuration of node %s is valid\n",
              text_of(loaded.config.get(), "node_id").c_str());
  return command_line::end("bopd", ok, failed) == ok ? ok : failed;
}

Exit show_config(const Sources& sources, bool origin) {
  const Loaded loaded = load(sources);
  if (loaded.status != BOP_OK) return complain(loaded.status, loaded.error);
  bop_config_item item{};
  item.size = sizeof item;
  for (size_t i = 0; bop_config_at(loaded.config.get(), i, &item) == BOP_OK; ++i) {
    std::printf("%s = %s", item.key, item.value);
    if (origin) std::printf("  # %s", item.source);
    std::putchar('\n');
  }
  return command_line::end("bopd", ok, failed) == ok ? ok : failed;
}

// bopd start, bopd format, bopd config show.
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstring>
#include <thread>

#include "bop/bop.h"
#include "bop/node.h"
#include "command_line/command_line.h"
#include "commands.h"
#include "signals.h"

namespace {

constexpr uint32_t grace_ms = 3000;  // for what is under way
constexpr unsigned patience_s = 4;   // then the process ends, as a crash would end it

void say(int32_t level, const std::string& text) { bop_say(level, text.c_str()); }

int32_t level_of(const std::string& name) {
  const char* names[] = {"debug", "info", "warning", "error"};
  for (int32_t level = 0; level < 4; ++level) {
    if (name == names[level]) return level;
  }
  return BOP_LOG_OFF;
}

int32_t start_logging(const bop_config* config, char* error, size_t capacity) {
  const std::string file = text_of(config, "logging.file");
  bop_logging logging{};
  logging.size = sizeof logging;
  logging.level = level_of(text_of(config, "logging.level"));
  logging.json = text_of(config, "logging.format") == "json" ? 1 : 0;
  logging.path = file.empty() ? nullptr : file.c_str();
  return bop_logging_start(&logging, error, capacity);
}

void say_addresses(const bop_node* node, const bop_config* config) {
  std::string line = std::string("bopd ") + bop_version() + ": node " + text_of(config, "node_id") +
                     " of cluster " + text_of(config, "cluster_id") + " serves";
  for (const char* listener : {"native", "resp", "http", "peer"}) {
    const char* address = bop_node_address(node, listener);
    if (address != nullptr) line += std::string(" ") + listener + " " + address;
  }
  say(BOP_LOG_INFO, line);
}

// Ends the process if stopping takes too long: what was acknowledged is durable either way.
std::thread start_watchdog(std::atomic<bool>& stopped) {
  return std::thread([&stopped] {
    for (unsigned i = 0; i < patience_s * 100; ++i) {
      if (stopped) return;
      usleep(10000);
    }
    std::fputs("bopd: stopping takes too long, the process ends\n", stderr);
    _exit(failed);
  });
}

void stop(bop_node* node) {
  std::atomic<bool> stopped = false;
  std::thread watchdog = start_watchdog(stopped);
  bop_node_stop(node, grace_ms);
  stopped = true;
  watchdog.join();
}

// Connections and the log's segments may need more than the few that a shell gives.
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
    if (getppid() != die_with) return failed;  // it died before this one was told
  }
  const sigset_t signals = block_stop_signals();
  take_descriptors();
  const Loaded loaded = load(sources);
  if (loaded.status != BOP_OK) return complain(loaded.status, loaded.error);
  const bop_config* config = loaded.config.get();
  char error[4096] = "";
  int32_t status = bop_config_check(config, error, sizeof error);
  if (status != BOP_OK) return complain(status, error);
  status = start_logging(config, error, sizeof error);
  if (status != BOP_OK) return complain(status, error);

  bop_node* node = nullptr;
  status = bop_node_start(config, nullptr, &node, error, sizeof error);
  if (status != BOP_OK) {
    bop_logging_stop();
    return complain(status, error);
  }
  say_addresses(node, config);
  int signal = 0;
  while (!is_stop(signal)) signal = wait_for_signal(signals, 3600 * 1000);
  say(BOP_LOG_INFO, std::string("stopping: ") + strsignal(signal));
  stop(node);
  say(BOP_LOG_INFO, "stopped");
  bop_logging_stop();
  return ok;
}

Exit format(const Sources& sources) {
  const Loaded loaded = load(sources);
  if (loaded.status != BOP_OK) return complain(loaded.status, loaded.error);
  char error[4096] = "";
  const int32_t status = bop_node_format(loaded.config.get(), error, sizeof error);
  if (status != BOP_OK) return complain(status, error);
  std::printf("formatted %s for node %s of cluster %s\n",
              text_of(loaded.config.get(), "data_directory").c_str(),
              text_of(loaded.config.get(), "node_id").c_str(),
              text_of(loaded.config.get(), "cluster_id").c_str());
  return ok;
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

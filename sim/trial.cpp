#include "sim/trial.h"

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <ctime>

#include "base/assert.h"
#include "base/logging.h"

namespace bop::sim {

namespace {

// In the process of a trial: where it reports, and how far its simulation is.
int report_to = -1;
std::function<Progress()> progress;

double core_seconds() {
  timespec spent{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &spent);
  return static_cast<double>(spent.tv_sec) + static_cast<double>(spent.tv_nsec) / 1e9;
}

void write_all(const std::string& text) {
  for (size_t at = 0; at < text.size();) {
    const ssize_t written = write(report_to, text.data() + at, text.size() - at);
    if (written <= 0) std::_Exit(2);
    at += static_cast<size_t>(written);
  }
}

[[noreturn]] void report(const Progress& reached, const std::string& why) {
  write_all("P " + std::to_string(reached.at) + " " + std::to_string(reached.faults_drawn) +
            "\nF " + why.substr(0, why.find('\n')) + "\n");
  std::_Exit(0);
}

[[noreturn]] void assert_failed(const char* file, int line, const char* text) {
  const char* const name = std::strrchr(file, '/');
  report(progress ? progress() : Progress{},
         "assert: " + std::string(name == nullptr ? file : name + 1) + ":" + std::to_string(line) +
             ": " + text);
}

// Writes "S 17" for each seed begun, then "P time faults" and "F reason" when one failed.
[[noreturn]] void run_seeds(SimulationOptions options, uint64_t first, uint64_t last,
                            double core_time) {
  // A seed that never ends is ended.
  const auto limit = static_cast<rlim_t>(core_time) + 30;
  const rlimit cpu{limit, limit};
  setrlimit(RLIMIT_CPU, &cpu);
  const rlimit core{0, 0};
  setrlimit(RLIMIT_CORE, &core);
  set_assert_handler(assert_failed);
  logging::start({.level = logging::Level::off});
  options.trace = options.history = nullptr;
  options.explainer = nullptr;
  options.progress = &progress;
  for (options.seed = first; core_seconds() < core_time; ++options.seed) {
    write_all("S " + std::to_string(options.seed) + "\n");
    const SimulationResult result = simulate(options);
    if (result.failure) report({result.failed_at, result.faults_drawn}, *result.failure);
    if (options.seed == last) break;
  }
  std::_Exit(0);
}

std::string read_all(int from) {
  std::string text;
  char piece[4096];
  for (ssize_t size; (size = read(from, piece, sizeof piece)) > 0;) {
    text.append(piece, static_cast<size_t>(size));
  }
  return text;
}

// "at 12.345678901 s: election safety: nodes 1 and 2 ..." without the time.
std::string without_time(const std::string& why) {
  const size_t end = why.find(" s: ");
  return why.starts_with("at ") && end != std::string::npos ? why.substr(end + 4) : why;
}

// "node 2, group 1 ..." reports no check by name; the check is then what it says without the numbers.
std::string check_of(const std::string& message) {
  std::string check = message.substr(0, message.find(':'));
  std::erase_if(check, [](char c) { return c >= '0' && c <= '9'; });
  return check;
}

void take_lines(const std::string& text, TrialResult& result) {
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    const std::string line = text.substr(at, end - at);
    at = end + 1;
    const char* const stop = line.data() + line.size();
    if (line.starts_with("S ")) {
      ++result.seeds;
      std::from_chars(line.data() + 2, stop, result.seed);
    } else if (line.starts_with("P ")) {
      const auto time = std::from_chars(line.data() + 2, stop, result.progress.at);
      std::from_chars(std::min(time.ptr + 1, stop), stop, result.progress.faults_drawn);
    } else if (line.starts_with("F ")) {
      result.failed = true;
      result.message = without_time(line.substr(2));
      result.check = check_of(result.message);
    }
  }
}

}  // namespace

TrialResult run_apart(const SimulationOptions& options, uint64_t first, uint64_t last,
                      double core_time) {
  int ends[2];
  BOP_ASSERT_EQ(pipe(ends), 0);
  const pid_t child = fork();
  BOP_ASSERT_GE(child, 0);
  if (child == 0) {
    close(ends[0]);
    report_to = ends[1];
    run_seeds(options, first, last, core_time);
  }
  close(ends[1]);
  TrialResult result;
  take_lines(read_all(ends[0]), result);
  close(ends[0]);
  int status = 0;
  rusage used{};
  wait4(child, &status, 0, &used);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  result.seconds = seconds(used.ru_utime) + seconds(used.ru_stime);
  if (result.failed) return result;
  if (WIFSIGNALED(status) && WTERMSIG(status) != SIGXCPU && WTERMSIG(status) != SIGKILL) {
    result.failed = true;
    result.check = "signal";
    result.message = strsignal(WTERMSIG(status));
  } else {
    result.message = WIFSIGNALED(status) ? "a seed did not end" : "no check reported it";
  }
  return result;
}

}  // namespace bop::sim

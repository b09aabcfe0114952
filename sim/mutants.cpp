#include "sim/mutants.h"

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <ctime>

#include "base/assert.h"
#include "base/logging.h"

namespace bop::sim {

namespace {

// In the process of a bug: where it reports, and the seed that runs.
int report_to = -1;
uint64_t running_seed = 0;

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

[[noreturn]] void assert_failed(const char* file, int line, const char* text) {
  const char* const name = std::strrchr(file, '/');
  report_from_mutant("assert: " + std::string(name == nullptr ? file : name + 1) + ":" +
                     std::to_string(line) + ": " + text);
  std::_Exit(2);
}

// "S 17" for each seed begun, then "F reason" when one failed.
[[noreturn]] void run_bug(const MutantOptions& options) {
  // A seed that never ends is ended.
  const auto limit = static_cast<rlim_t>(options.seconds_each) + 30;
  const rlimit cpu{limit, limit};
  setrlimit(RLIMIT_CPU, &cpu);
  const rlimit core{0, 0};
  setrlimit(RLIMIT_CORE, &core);
  set_assert_handler(assert_failed);
  logging::start({.level = logging::Level::off});
  for (uint64_t seed = options.first_seed; core_seconds() < options.seconds_each; ++seed) {
    running_seed = seed;
    write_all("S " + std::to_string(seed) + "\n");
    SimulationOptions simulation = options.simulation;
    simulation.seed = seed;
    if (const auto failure = simulate(simulation).failure) report_from_mutant(*failure);
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

void take_lines(const std::string& text, MutantResult& result) {
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    const std::string line = text.substr(at, end - at);
    at = end + 1;
    if (line.starts_with("S ")) {
      ++result.seeds;
      std::from_chars(line.data() + 2, line.data() + line.size(), result.seed);
    } else if (line.starts_with("F ")) {
      result.caught = true;
      result.message = without_time(line.substr(2));
      result.check = result.message.substr(0, result.message.find(':'));
    }
  }
}

MutantResult run_one(const MutantOptions& options, const ModuleBug& bug) {
  int ends[2];
  BOP_ASSERT_EQ(pipe(ends), 0);
  const pid_t child = fork();
  BOP_ASSERT_GE(child, 0);
  if (child == 0) {
    close(ends[0]);
    report_to = ends[1];
    BOP_ASSERT(choose_seeded_bug(bug.bug.name));
    run_bug(options);
  }
  close(ends[1]);
  MutantResult result;
  result.bug = bug;
  take_lines(read_all(ends[0]), result);
  close(ends[0]);
  int status = 0;
  rusage used{};
  wait4(child, &status, 0, &used);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  result.seconds = seconds(used.ru_utime) + seconds(used.ru_stime);
  if (!result.caught) {
    if (WIFSIGNALED(status) && WTERMSIG(status) != SIGXCPU && WTERMSIG(status) != SIGKILL) {
      result.caught = true;
      result.check = "signal";
      result.message = strsignal(WTERMSIG(status));
    } else {
      result.message = WIFSIGNALED(status) ? "a seed did not end" : "no check reported it";
    }
  }
  return result;
}

}  // namespace

void report_from_mutant(const std::string& why) {
  if (report_to < 0) return;
  write_all("F " + why.substr(0, why.find('\n')) + "\n");
  std::_Exit(0);
}

bool run_mutants(const MutantOptions& options, const std::function<void(const MutantResult&)>& done,
                 std::string& unknown) {
  const auto all = module_bugs();
  for (const std::string& name : options.names) {
    const auto named = [&](const ModuleBug& bug) { return bug.bug.name == name; };
    if (std::ranges::any_of(all, named) || name == "none") continue;
    unknown = name;
    return false;
  }
  const auto wanted = [&](std::string_view name) {
    return options.names.empty() || std::ranges::find(options.names, name) != options.names.end();
  };
  for (const ModuleBug& bug : all) {
    if (wanted(bug.bug.name)) done(run_one(options, bug));
  }
  if (!options.names.empty() && wanted("none")) {
    done(run_one(options, {"", {"none", "the correct build", "", "there is nothing to see"}}));
  }
  return true;
}

}  // namespace bop::sim

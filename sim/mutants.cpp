#include "sim/mutants.h"

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <map>

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
[[noreturn]] void run_seeds(const SimulationOptions& options, uint64_t first, uint64_t last,
                            double core_time) {
  // A seed that never ends is ended.
  const auto limit = static_cast<rlim_t>(core_time) + 30;
  const rlimit cpu{limit, limit};
  setrlimit(RLIMIT_CPU, &cpu);
  const rlimit core{0, 0};
  setrlimit(RLIMIT_CORE, &core);
  set_assert_handler(assert_failed);
  logging::start({.level = logging::Level::off});
  for (uint64_t seed = first; core_seconds() < core_time; ++seed) {
    running_seed = seed;
    write_all("S " + std::to_string(seed) + "\n");
    SimulationOptions simulation = options;
    simulation.seed = seed;
    if (const auto failure = simulate(simulation).failure) report_from_mutant(*failure);
    if (seed == last) break;
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

// From seed `first` on until one fails or the time is used up.
MutantResult run_from(const SimulationOptions& options, const ModuleBug& bug, uint64_t first,
                      uint64_t last, double core_time) {
  int ends[2];
  BOP_ASSERT_EQ(pipe(ends), 0);
  const pid_t child = fork();
  BOP_ASSERT_GE(child, 0);
  if (child == 0) {
    close(ends[0]);
    report_to = ends[1];
    BOP_ASSERT(choose_seeded_bug(bug.bug.name));
    run_seeds(options, first, last, core_time);
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

constexpr ModuleBug no_bug{"", {"none", "the correct build", "", "there is nothing to see"}};

class Runner {
 public:
  explicit Runner(const MutantOptions& options) : options_(options) {}

  MutantResult run(const ModuleBug& bug) {
    MutantResult all;
    for (uint64_t seed = options_.first_seed;;) {
      MutantResult some =
          run_from(options_.simulation, bug, seed, last, options_.seconds_each - all.seconds);
      some.seconds += all.seconds;
      some.seeds += all.seeds;
      some.skipped = all.skipped;
      if (!some.caught || bug.bug.name == no_bug.bug.name || !fails_without_bug(some.seed))
        return some;
      all = std::move(some);
      all.skipped.push_back(all.seed);
      all.caught = false;
      all.check.clear();
      all.message = "no check reported it";
      if (all.seconds >= options_.seconds_each || all.seed == last) return all;
      seed = all.seed + 1;
    }
  }

 private:
  static constexpr uint64_t last = ~uint64_t{0};

  bool fails_without_bug(uint64_t seed) {
    const auto [known, first] = correct_fails_.try_emplace(seed, false);
    if (first)
      known->second =
          run_from(options_.simulation, no_bug, seed, seed, options_.seconds_each).caught;
    return known->second;
  }

  const MutantOptions& options_;
  std::map<uint64_t, bool> correct_fails_;  // by seed
};

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
  Runner runner(options);
  for (const ModuleBug& bug : all) {
    if (wanted(bug.bug.name)) done(runner.run(bug));
  }
  if (!options.names.empty() && wanted("none")) done(runner.run(no_bug));
  return true;
}

}  // namespace bop::sim

// bop-sim: simulates a cluster with clients and faults, and checks its invariants and the clients' results.
//
//   bop-sim --seed S --minutes M        its last line is "trace HASH ok", or "FAILED seed S: ..." with
//                                       exit 1 and the command that repeats it
//   bop-sim --seed S --explain          what happens in it, as lines to read
//   bop-sim --seed S --shrink           the smallest run that fails as that one does
//   bop-sim --mutants [NAME...]         how long the checks take to report each seeded bug; exit 1 when one
//                                       that they must report is missed
//
// Built twice: bop-sim runs what ships, bop-sim-seeded the variants that can carry a bug (--bug, --mutants).
#include <unistd.h>

#include <chrono>
#include <cinttypes>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "base/assert.h"
#include "base/logging.h"
#include "command_line/command_line.h"
#include "command_line/standard_streams.h"
#include "sim/mutants.h"
#include "sim/seeded.h"
#include "sim/shrink.h"
#include "sim/simulation.h"

namespace {

using namespace bop::sim;
using command_line::number;

struct Arguments {
  uint64_t seed = 1;
  std::string seeds;  // "A..B", in place of seed
  double minutes = 1;
  std::string faults;       // empty: the seed picks
  std::string only_faults;  // empty: all
  std::string trace;
  std::string explain;
  double from = 0;  // seconds
  double to = 1e9;
  bool shrink = false;
  std::string history;
  std::string bug = "none";
  bool mutants = false;
  std::vector<std::string> names;  // of bugs
  double minutes_each = 10;
  std::string output;
  bool twice = false;
  bool verbose = false;
};

// For the handler of failed asserts: what is running.
std::string repeat_command;
uint64_t running_seed = 0;

std::string join(const std::set<uint64_t>& numbers) {
  std::string text;
  for (const uint64_t number : numbers) text += (text.empty() ? "" : ",") + std::to_string(number);
  return text.empty() ? "none" : text;
}

// The one command that repeats a run.
std::string command_for(const Arguments& arguments, const SimulationOptions& options) {
  std::string command = "bop-sim";
  const auto add = [&](const char* name, const std::string& value) {
    command += std::string(" --") + name + " " + value;
  };
  if (arguments.bug != "none") add("bug", arguments.bug);
  add("seed", std::to_string(options.seed));
  char minutes[32];
  std::snprintf(minutes, sizeof minutes, "%.10g", static_cast<double>(options.time) / 60e9);
  add("minutes", minutes);
  const SettingOptions& setting = options.setting;
  for (const auto& [name, value] : {std::pair{"nodes", setting.nodes},
                                    {"shards", setting.shards},
                                    {"groups", setting.groups},
                                    {"clients", setting.clients},
                                    {"keys", setting.keys}}) {
    if (value != 0) add(name, std::to_string(value));
  }
  if (!arguments.faults.empty()) add("faults", arguments.faults);
  if (setting.only_faults) add("only-faults", join(*setting.only_faults));
  return command;
}

// All lines first; the last line is one line, for scripts.
void print_failure(const std::string& why) {
  std::printf("%s\n", why.c_str());
  std::printf("FAILED seed %" PRIu64 ": %s (repeat: %s)\n", running_seed,
              why.substr(0, why.find('\n')).c_str(), repeat_command.c_str());
}

[[noreturn]] void assert_handler(const char* file, int line, const char* text) {
  print_failure("assert " + std::string(file) + ":" + std::to_string(line) + ": " + text);
  std::fflush(nullptr);
  std::_Exit(1);
}

using File = std::unique_ptr<std::FILE, int (*)(std::FILE*)>;

File open_for_writing(const std::string& name) {
  if (name.empty()) return {nullptr, std::fclose};
  File file(std::fopen(name.c_str(), "w"), std::fclose);
  if (file == nullptr) {
    std::fprintf(stderr, "bop-sim: %s cannot be written\n", name.c_str());
    std::exit(2);
  }
  return file;
}

void print_figures(const SimulationResult& result, double took_s) {
  const double simulated_s = static_cast<double>(result.simulated) / 1e9;
  std::printf("%s\n", result.setting.c_str());
  std::printf("  %.1f s simulated in %.2f s (%.0fx), %" PRIu64 " events\n", simulated_s, took_s,
              simulated_s / took_s, result.events);
  std::printf("  clients: %" PRIu64 " asked, %" PRIu64 " answered, %" PRIu64 " other, %" PRIu64
              " refused, %" PRIu64 " unknown; %" PRIu64 " keys checked, %" PRIu64
              " undecided, at most %" PRIu64 " configurations\n",
              result.clients.asked, result.clients.ok, result.clients.other, result.clients.refused,
              result.clients.unknown, result.clients.keys, result.clients.undecided,
              result.clients.peak_configurations);
  std::printf("  replicas: %" PRIu64 " elections, %" PRIu64 " entries, %" PRIu64
              " commands, %" PRIu64 " acknowledged, %" PRIu64 " state hashes compared, %" PRIu64
              " checks\n",
              result.checker.elections, result.checker.entries, result.checker.commands,
              result.checker.acknowledged, result.checker.compared_hashes, result.checker.checks);
  std::printf("  frames: %" PRIu64 " sent, %" PRIu64 " delivered, %" PRIu64 " lost\n",
              result.network.sent, result.network.delivered, result.network.lost);
  std::printf("  faults:");
  for (const auto& [fault, count] : result.faults) {
    std::printf(" %s %" PRIu64, name_of(fault), count);
  }
  std::printf("\n  effects:");
  const char* separator = "";
  for (const auto& [effect, count] : result.effects) {
    if (count == 0) continue;
    std::printf("%s %" PRIu64 " %s", separator, count, effect.c_str());
    separator = ",";
  }
  std::printf("\n  availability: %" PRIu64 " of %" PRIu64
              " requests answered while a majority could serve, longest gap %.1f s\n",
              result.availability.answered, result.availability.counted,
              static_cast<double>(result.availability.longest_gap) / 1e9);
}

SimulationResult run_once(const SimulationOptions& options, bool figures) {
  const auto begin = std::chrono::steady_clock::now();
  SimulationResult result = simulate(options);
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  if (figures) print_figures(result, took.count());
  return result;
}

bool run_seed(const Arguments& arguments, SimulationOptions options, uint64_t seed) {
  options.seed = seed;
  running_seed = seed;
  repeat_command = command_for(arguments, options);
  SimulationResult result = run_once(options, true);
  if (!result.failure && arguments.twice) {
    options.trace = nullptr;
    options.history = nullptr;
    options.explainer = nullptr;
    const SimulationResult again = run_once(options, false);
    if (again.trace_hash != result.trace_hash) {
      result.failure = "not deterministic: the second run's trace differs";
    }
  }
  if (result.failure) {
    print_failure(*result.failure);
    return false;
  }
  std::printf("trace %016" PRIx64 " ok\n", result.trace_hash);
  return true;
}

// ---- shrinking ----

int shrink_run(const Arguments& arguments, const SimulationOptions& simulation) {
  ShrinkOptions options;
  options.simulation = simulation;
  options.core_time = arguments.minutes_each * 60;
  const auto print = [](const ShrinkResult& result) {
    const SettingOptions& setting = result.simulation.setting;
    const uint64_t faults =
        setting.only_faults ? setting.only_faults->size() : result.failure.progress.faults_drawn;
    std::printf("%5" PRIu64 " runs: fails with %" PRIu64 " faults in %.3f s: %s\n", result.runs,
                faults, static_cast<double>(result.simulation.time) / 1e9,
                result.failure.message.c_str());
    std::fflush(stdout);
  };
  const auto result = shrink(options, print);
  if (!result) {
    std::printf("seed %" PRIu64 " does not fail\n", simulation.seed);
    return 0;
  }
  std::printf("FAILED seed %" PRIu64 ": %s (repeat: %s)\n", simulation.seed,
              result->failure.message.c_str(), command_for(arguments, result->simulation).c_str());
  return 1;
}

// ---- mutants ----

nlohmann::ordered_json to_json(const MutantResult& result) {
  return {{"bug", result.bug.bug.name},
          {"module", result.bug.module},
          {"what", result.bug.bug.what},
          {"source", result.bug.bug.source},
          {"elsewhere", result.bug.bug.elsewhere},
          {"caught", result.trial.failed},
          {"seed", result.trial.seed},
          {"seeds", result.trial.seeds},
          {"skipped", result.skipped},
          {"seconds", result.trial.seconds},
          {"check", result.trial.check},
          {"message", result.trial.message}};
}

bool is_as_expected(const MutantResult& result) {
  if (result.bug.bug.name == "none") return !result.trial.failed;
  return result.trial.failed || !result.bug.bug.elsewhere.empty();
}

int mutants(const Arguments& arguments, const SimulationOptions& simulation) {
  MutantOptions options;
  options.names = arguments.names;
  options.seconds_each = arguments.minutes_each * 60;
  options.first_seed = arguments.seed;
  options.simulation = simulation;
  const bool json = arguments.output == "json";
  auto list = nlohmann::ordered_json::array();
  size_t bugs = 0;
  size_t caught = 0;
  bool good = true;
  if (!json)
    std::printf("%-32s %-10s %-7s %6s %8s  %s\n", "bug", "module", "caught", "seed", "seconds",
                "by");
  const auto done = [&](const MutantResult& result) {
    ++bugs;
    const TrialResult& trial = result.trial;
    if (trial.failed) ++caught;
    good = good && is_as_expected(result);
    if (json) return list.push_back(to_json(result));
    const std::string by = trial.failed ? trial.check
                           : result.bug.bug.elsewhere.empty()
                               ? trial.message
                               : trial.message + "; " + std::string(result.bug.bug.elsewhere);
    std::printf("%-32s %-10s %-7s %6" PRIu64 " %8.1f  %s\n", result.bug.bug.name.data(),
                result.bug.module.data(), trial.failed ? "yes" : "no", trial.seed, trial.seconds,
                by.c_str());
    for (const uint64_t seed : result.skipped)
      std::printf("  skipped seed %" PRIu64 ", which fails without any bug\n", seed);
    std::fflush(stdout);
  };
  std::string unknown;
  if (!run_mutants(options, done, unknown)) {
    std::fprintf(stderr, "bop-sim: --mutants: no seeded bug is called %s\n", unknown.c_str());
    return 2;
  }
  if (json) {
    std::printf("%s\n", list.dump(2).c_str());
  } else {
    std::printf("%zu of %zu caught\n", caught, bugs);
  }
  return good ? 0 : 1;
}

// This program carries no bugs; the one beside it does.
int run_seeded(char** values) {
  const std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe");
  const std::string seeded = self.parent_path() / "bop-sim-seeded";
  execv(seeded.c_str(), values);
  std::fprintf(stderr, "bop-sim: %s cannot be run: build the target bop-sim-seeded\n",
               seeded.c_str());
  return 2;
}

bool parse_seeds(const std::string& text, uint64_t& first, uint64_t& last) {
  const size_t dots = text.find("..");
  if (dots == std::string::npos) return false;
  const auto from = command_line::parse_number<uint64_t>(text.substr(0, dots));
  const auto to = command_line::parse_number<uint64_t>(text.substr(dots + 2));
  first = from.value_or(0);
  last = to.value_or(0);
  return from && to && first <= last;
}

// "none", or numbers with commas between them.
std::optional<std::set<uint64_t>> parse_numbers(const std::string& text) {
  std::set<uint64_t> numbers;
  if (text == "none") return numbers;
  for (size_t at = 0; at <= text.size();) {
    const size_t end = std::min(text.find(',', at), text.size());
    const auto number = command_line::parse_number<uint64_t>(text.substr(at, end - at));
    if (!number) return {};
    numbers.insert(*number);
    at = end + 1;
  }
  return numbers;
}

bop::Instant seconds_of(double s) { return static_cast<bop::Instant>(s * 1e9); }

}  // namespace

int main(int count, char** values) {
  command_line::open_standard_streams();
  Arguments arguments;
  CLI::App app("bop-sim: deterministic simulation of a bop cluster with clients and faults",
               "bop-sim");
  command_line::use_help(app);
  app.add_option("--seed", arguments.seed,
                 "Seed of a run, which determines everything in it (default 1)")
      ->type_name("N")
      ->check(number<uint64_t>());
  app.add_option("--seeds", arguments.seeds,
                 "One run for each seed from A to B; stops at the first failure")
      ->type_name("A..B");
  app.add_option("--minutes", arguments.minutes, "Simulated time (default 1)")
      ->type_name("MINUTES")
      ->check(number(0.00001, 100000.0));
  SimulationOptions options;
  app.add_option("--nodes", options.setting.nodes,
                 "Number of nodes (default: the seed selects 1 to 5)")
      ->type_name("N")
      ->check(number(1u, 9u));
  const auto add_limit = [&](const char* name, uint32_t& value, const char* help) {
    app.add_option(name, value, help)->type_name("N")->check(number(1u, 1000u));
  };
  add_limit("--shards", options.setting.shards, "At most so many shards");
  add_limit("--groups", options.setting.groups, "At most so many groups");
  add_limit("--clients", options.setting.clients, "At most so many clients");
  add_limit("--keys", options.setting.keys, "At most so many keys in use for each group");
  app.add_option(
         "--faults", arguments.faults,
         "Kinds of faults, separated by commas, or none or all (default: the seed selects some)")
      ->type_name("KINDS");
  app.add_option("--only-faults", arguments.only_faults,
                 "Only these of the faults that the seed draws, by number (see --explain), "
                 "separated by commas, or none")
      ->type_name("NUMBERS");
  app.add_option("--trace", arguments.trace, "Write every event to this file, one line each")
      ->type_name("FILE");
  app.add_option("--explain", arguments.explain,
                 "Write one line for each event (what the nodes log at level debug, frames, "
                 "faults) to this "
                 "file, or to standard output")
      ->type_name("FILE")
      ->expected(0, 1);
  app.add_option("--from", arguments.from, "With --explain: simulated time of the first line")
      ->type_name("SECONDS")
      ->check(number(0.0, 1e9));
  app.add_option("--to", arguments.to, "With --explain: simulated time of the last line")
      ->type_name("SECONDS")
      ->check(number(0.0, 1e9));
  app.add_flag("--shrink", arguments.shrink,
               "Run a seed that fails with less time, fewer faults, clients, keys, groups, shards "
               "and nodes, as long as the same check fails; print the command of the smallest run");
  app.add_option("--history", arguments.history,
                 "Write the results of the clients to this file, for bop-check")
      ->type_name("FILE");
  app.add_flag("--mutants", arguments.mutants,
               "Run each seeded bug until a check reports it, and print a table");
  app.add_option("BUG", arguments.names,
                 "With --mutants: run only these bugs; none is the correct build");
  app.add_option("--minutes-each", arguments.minutes_each,
                 "Core time for each bug with --mutants, and for --shrink (default 10)")
      ->type_name("MINUTES")
      ->check(number(0.01, 100000.0));
  app.add_option("-o,--output", arguments.output, "With --mutants: text or json (default text)")
      ->type_name("FORMAT")
      ->check(CLI::IsMember({"text", "json"}));
  app.add_option("--bug", arguments.bug, "Run with this seeded bug")->type_name("BUG");
  app.add_flag("--twice", arguments.twice, "Run each seed twice and compare the traces");
  app.add_flag("--verbose", arguments.verbose, "Print what the nodes log at level info");
  std::string kinds;
  for (const Fault fault : all_faults()) kinds += std::string(" ") + name_of(fault);
  app.footer("Kinds of faults:" + kinds +
             "\nExit codes: 0 no violation; 1 a violation; 2 usage error, or the output could not "
             "be written.");
  if (const auto ended = command_line::parse(app, count, values, 2)) return *ended;
  if (!arguments.names.empty() && !arguments.mutants) {
    std::fprintf(stderr, "bop-sim: %s: unexpected argument; see bop-sim --help\n",
                 arguments.names.front().c_str());
    return 2;
  }
  if ((arguments.mutants || arguments.bug != "none") && module_bugs().empty())
    return run_seeded(values);
  if (!choose_seeded_bug(arguments.bug)) {
    std::fprintf(stderr, "bop-sim: --bug: no seeded bug is called %s\n", arguments.bug.c_str());
    return 2;
  }

  options.time = std::llround(arguments.minutes * 60e9);
  if (!arguments.only_faults.empty()) {
    options.setting.only_faults = parse_numbers(arguments.only_faults);
    if (!options.setting.only_faults) {
      std::fprintf(stderr,
                   "bop-sim: --only-faults: must be numbers separated by commas, or none\n");
      return 2;
    }
  }
  if (!arguments.faults.empty()) {
    const auto faults = parse_faults(arguments.faults);
    if (!faults) {
      std::fprintf(stderr, "bop-sim: --faults: %s\n", faults.error().detail.c_str());
      return 2;
    }
    options.setting.faults = *faults;
    options.setting.pick_faults = false;
  }
  uint64_t first = arguments.seed;
  uint64_t last = arguments.seed;
  if (!arguments.seeds.empty() && !parse_seeds(arguments.seeds, first, last)) {
    std::fprintf(stderr, "bop-sim: --seeds: must be A..B with A at most B\n");
    return 2;
  }
  if (arguments.mutants) {
    const int code = mutants(arguments, options);
    return command_line::end("bop-sim", code, 2);
  }
  if (arguments.shrink) {
    if (!arguments.seeds.empty()) {
      std::fprintf(stderr, "bop-sim: --shrink takes one --seed\n");
      return 2;
    }
    options.seed = arguments.seed;
    return command_line::end("bop-sim", shrink_run(arguments, options), 2);
  }
  const File trace = open_for_writing(arguments.trace);
  const File history = open_for_writing(arguments.history);
  const File explained = open_for_writing(arguments.explain);
  const bool explains = app.count("--explain") > 0;
  Explainer explainer(explained != nullptr ? explained.get()
                      : explains           ? stdout
                                           : stderr,
                      explains);
  explainer.between(seconds_of(arguments.from), seconds_of(arguments.to));
  if (explains || arguments.verbose) options.explainer = &explainer;
  options.trace = trace.get();
  options.history = history.get();

  bop::set_assert_handler(assert_handler);
  using bop::logging::Level;
  const Level level = explains ? Level::debug : arguments.verbose ? Level::info : Level::off;
  bop::logging::start(
      {.level = level, .sink = [&](Level of, std::string_view text) { explainer.log(of, text); }});
  bool all_good = true;
  for (uint64_t seed = first; all_good; ++seed) {
    all_good = run_seed(arguments, options, seed);
    std::fflush(stdout);
    if (seed == last) break;  // in place of `seed <= last`: no seed is above the largest number
  }
  bop::logging::stop();
  return command_line::end("bop-sim", all_good ? 0 : 1, 2);
}

// bop-sim: simulates a cluster with clients and faults, and checks its invariants and the clients' results.
//
//   bop-sim --seed S --minutes M        its last line is "trace HASH ok", or "FAILED seed S: ..." with
//                                       exit 1 and the command that repeats it
#include <chrono>
#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>

#include "base/assert.h"
#include "base/logging.h"
#include "command_line/command_line.h"
#include "command_line/standard_streams.h"
#include "sim/simulation.h"

namespace {

using namespace bop::sim;
using command_line::number;

struct Arguments {
  uint64_t seed = 1;
  std::string seeds;  // "A..B", in place of seed
  double minutes = 1;
  uint32_t nodes = 3;
  std::string faults;  // empty: the seed picks
  std::string trace;
  std::string explain;
  std::string history;
  bool twice = false;
  bool verbose = false;
};

// What is running, for the handler of failed asserts, which gets nothing of it.
std::string repeat_command;
uint64_t running_seed = 0;

std::string command_for(const Arguments& arguments, uint64_t seed) {
  char text[128];
  std::snprintf(text, sizeof text, "bop-sim --seed %" PRIu64 " --minutes %g", seed,
                arguments.minutes);
  std::string command = text;
  if (arguments.nodes != 3) command += " --nodes " + std::to_string(arguments.nodes);
  if (!arguments.faults.empty()) command += " --faults " + arguments.faults;
  return command;
}

// The whole story first: the last line is one line.
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
              " commands, %" PRIu64 " acknowledged, %" PRIu64 " state hashes compared\n",
              result.checker.elections, result.checker.entries, result.checker.commands,
              result.checker.acknowledged, result.checker.compared_hashes);
  std::printf("  frames: %" PRIu64 " sent, %" PRIu64 " delivered, %" PRIu64 " lost\n",
              result.network.sent, result.network.delivered, result.network.lost);
  std::printf("  faults:");
  for (const auto& [fault, count] : result.faults) {
    std::printf(" %s %" PRIu64, name_of(fault), count);
  }
  std::printf("\n");
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
  repeat_command = command_for(arguments, seed);
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

bool parse_seeds(const std::string& text, uint64_t& first, uint64_t& last) {
  const size_t dots = text.find("..");
  if (dots == std::string::npos) return false;
  const auto from = command_line::parse_number<uint64_t>(text.substr(0, dots));
  const auto to = command_line::parse_number<uint64_t>(text.substr(dots + 2));
  first = from.value_or(0);
  last = to.value_or(0);
  return from && to && first <= last;
}

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
      ->check(number(0.01, 100000.0));
  app.add_option("--nodes", arguments.nodes, "Number of nodes (default 3)")
      ->type_name("N")
      ->check(number(1u, 9u));
  app.add_option(
         "--faults", arguments.faults,
         "Kinds of faults, separated by commas, or none or all (default: the seed selects some)")
      ->type_name("KINDS");
  app.add_option("--trace", arguments.trace, "Write every event to this file, one line each")
      ->type_name("FILE");
  app.add_option(
         "--explain", arguments.explain,
         "Write what the nodes log at level debug, and every frame in readable form, to this file")
      ->type_name("FILE");
  app.add_option("--history", arguments.history,
                 "Write the results of the clients to this file, for bop-check")
      ->type_name("FILE");
  app.add_flag("--twice", arguments.twice, "Run each seed twice and compare the traces");
  app.add_flag("--verbose", arguments.verbose, "Print what the nodes log at level info");
  std::string kinds;
  for (const Fault fault : all_faults()) kinds += std::string(" ") + name_of(fault);
  app.footer("Kinds of faults:" + kinds +
             "\nExit codes: 0 no violation; 1 a violation; 2 usage error, or the output could not "
             "be written.");
  if (const auto ended = command_line::parse(app, count, values, 2)) return *ended;

  SimulationOptions options;
  options.time = static_cast<bop::Duration>(arguments.minutes * 60 * 1e9);
  options.nodes = arguments.nodes;
  if (!arguments.faults.empty()) {
    const auto faults = parse_faults(arguments.faults);
    if (!faults) {
      std::fprintf(stderr, "bop-sim: --faults: %s\n", faults.error().detail.c_str());
      return 2;
    }
    options.faults = *faults;
    options.pick_faults = false;
  }
  uint64_t first = arguments.seed;
  uint64_t last = arguments.seed;
  if (!arguments.seeds.empty() && !parse_seeds(arguments.seeds, first, last)) {
    std::fprintf(stderr, "bop-sim: --seeds: must be A..B with A at most B\n");
    return 2;
  }
  const File trace = open_for_writing(arguments.trace);
  const File history = open_for_writing(arguments.history);
  const File explained = open_for_writing(arguments.explain);
  const bool explains = explained != nullptr;
  Explainer explainer(explains ? explained.get() : stderr, explains);
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

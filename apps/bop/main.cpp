// bop: the command line.
#include <cstdio>
#include <cstdlib>
#include <functional>

#include "bench.h"
#include "bop/bop.h"
#include "bop/kv.h"
#include "command_line/command_line.h"
#include "command_line/documents.h"
#include "command_line/standard_streams.h"
#include "commands.h"
#include "output.h"

namespace {

using command_line::number;

// "5", "5s", "500ms", "2m": seconds unless said otherwise.
double parse_seconds(const std::string& text) {
  const size_t end = text.find_last_of("0123456789.") + 1;
  const std::string unit = text.substr(end);
  double value = command_line::parse_number<double>(text.substr(0, end)).value_or(0);
  if (unit == "ms") value /= 1000;
  if (unit == "m") value *= 60;
  if ((unit != "" && unit != "s" && unit != "ms" && unit != "m") || !(value > 0) || value > 1e6) {
    throw CLI::ValidationError("invalid duration \"" + text + "\"; write 5s, 500ms or 2m");
  }
  return value;
}

// What the command line adds up to: which command runs.
struct Program {
  Globals globals;
  PutArguments put;
  RangeArguments range;
  BenchArguments bench;
  RawArguments raw;
  std::string key, expected, value, directory;
  std::vector<std::string> keys;
  int64_t by = 1;
  bool all = false;
  std::function<Exit()> run;
};

void add_globals(CLI::App& app, Program& program) {
  Globals& globals = program.globals;
  app.add_option("--endpoint", globals.endpoints, "HOST:PORT[,HOST:PORT...] of native listeners")
      ->envname("BOP_ENDPOINT")
      ->capture_default_str();
  app.add_option("--group", globals.group, "The group that the command is for")
      ->capture_default_str();
  app.add_option_function<std::string>(
         "--timeout",
         [&globals](const std::string& text) {
           globals.timeout_ms = static_cast<uint32_t>(std::max(1.0, parse_seconds(text) * 1000));
         },
         "The limit of a request: 5s, 500ms, 2m (default 5s)")
      ->type_name("TIME");
  app.add_option_function<std::string>(
         "-o,--output", [&globals](const std::string& form) { globals.json = form == "json"; },
         "table or json (default table); with json, errors are JSON on standard error")
      ->check(CLI::IsMember({"table", "json"}))
      ->type_name("FORM");
}

void add_writes(CLI::App& app, Program& program) {
  CLI::App* put = app.add_subcommand("put", "Write a value of the machine kv");
  put->add_option("key", program.put.key)->required();
  put->add_option("value", program.put.value, "The value; - or nothing: standard input");
  CLI::Option* absent =
      put->add_flag("--if-absent", program.put.if_absent, "Only if the key does not exist");
  put->add_flag("--if-present", program.put.if_present, "Only if the key exists")->excludes(absent);
  put->add_option("--if-revision", program.put.if_revision,
                  "Only if this is the key's revision; 0: it does not exist")
      ->check(number<uint64_t>());
  put->callback([&] { program.run = [&] { return ::put(program.globals, program.put); }; });

  CLI::App* del =
      app.add_subcommand("delete", "Delete keys in one step, and print how many existed");
  del->add_option("key", program.keys)->required();
  del->callback([&] { program.run = [&] { return remove(program.globals, program.keys); }; });

  CLI::App* incr =
      app.add_subcommand("incr", "Add to a number in one step; a missing key counts as 0");
  incr->add_option("key", program.key)->required();
  incr->add_option("by", program.by, "What to add (default 1); put -- before a negative number")
      ->check(number<int64_t>());
  incr->callback(
      [&] { program.run = [&] { return increment(program.globals, program.key, program.by); }; });

  CLI::App* cas = app.add_subcommand("cas", "Write a value if the current one is the expected one");
  cas->add_option("key", program.key)->required();
  cas->add_option("expected", program.expected)->required();
  cas->add_option("value", program.value)->required();
  cas->callback([&] {
    program.run = [&] {
      return compare_and_set(program.globals, program.key, program.expected, program.value);
    };
  });
}

void add_reads(CLI::App& app, Program& program) {
  CLI::App* get = app.add_subcommand("get", "Print a value, byte for byte");
  get->add_option("key", program.key)->required();
  get->callback([&] { program.run = [&] { return ::get(program.globals, program.key); }; });

  CLI::App* range = app.add_subcommand("range", "List keys in order");
  range->add_option("first", program.range.first,
                    "The first key of the range (default: the first of all)");
  range->add_option("end", program.range.end,
                    "The key before which the range ends (default: after the last)");
  range
      ->add_option("--prefix", program.range.prefix,
                   "Keys with this prefix, instead of FIRST and END")
      ->excludes("first")
      ->excludes("end");
  range->add_option("--limit", program.range.limit, "The largest number of keys to list")
      ->capture_default_str()
      ->check(number<uint64_t>(1, 100'000'000));
  range->add_flag("--keys-only", program.range.keys_only, "List keys without their values");
  range->callback([&] { program.run = [&] { return ::range(program.globals, program.range); }; });

  CLI::App* status = app.add_subcommand("status", "What nodes say about themselves");
  status->footer(
      "Asks every endpoint and ends with 0 when one answered: the table, and the list of --all, "
      "have\n"
      "those that did; who did not, and why, is on standard error. -o json alone prints the first "
      "that\n"
      "answers.");
  status->add_flag("--all", program.all, "With -o json: a list with every endpoint that answers");
  status->callback([&] { program.run = [&] { return ::status(program.globals, program.all); }; });
}

void add_raw(CLI::App& app, Program& program) {
  const auto add = [&](const char* name, const char* help, const char* what, RawKind kind) {
    CLI::App* command = app.add_subcommand(name, help);
    command->add_option("payload", program.raw.payload, what);
    command->add_flag("--hex", program.raw.hex, "The payload and the reply are hexadecimal digits");
    command->callback([&program, kind] {
      program.run = [&program, kind] { return raw(program.globals, program.raw, kind); };
    });
  };
  add("propose", "Send a command to any machine, byte for byte, and print its reply",
      "The command; - or nothing: standard input; @FILE: a file's bytes", RawKind::command);
  add("query", "Ask any machine a question, byte for byte, and print its reply",
      "The question; - or nothing: standard input; @FILE: a file's bytes", RawKind::question);
}

void add_log(CLI::App& app, Program& program) {
  CLI::App* log = app.add_subcommand("log", "Read a write-ahead log");
  log->require_subcommand(1);
  CLI::App* inspect =
      log->add_subcommand("inspect", "Print what a log directory holds, without changing it");
  inspect->footer(
      "With -o json: one list, an object for each finding. The exit code is 1 if a stretch is "
      "damaged or\n"
      "lost.");
  inspect
      ->add_option("directory", program.directory, "A node's data directory, or that of one shard")
      ->required();
  inspect->callback(
      [&] { program.run = [&] { return inspect_log(program.globals, program.directory); }; });
}

void add_bench(CLI::App& app, Program& program) {
  CLI::App* bench =
      app.add_subcommand("bench", "Measure throughput, and verify that nothing was lost");
  bench->require_subcommand(1);
  CLI::App* kv =
      bench->add_subcommand("kv", "Load a group of the machine kv over the native protocol");
  kv->footer(
      "It gives up if no key can be preloaded within --timeout, or none for 15 s, or if none can "
      "be read\n"
      "back for 15 s.");
  BenchArguments& arguments = program.bench;
  kv->add_option("--clients", arguments.clients, "Connections")
      ->capture_default_str()
      ->check(number(1u, 4096u));
  kv->add_option("--pipeline", arguments.pipeline, "Requests in flight on each connection")
      ->capture_default_str()
      ->check(number(1u, 1024u));
  kv->add_option("--size", arguments.size_bytes, "Size of a value in bytes")
      ->capture_default_str()
      ->check(number(1u, BOP_KV_VALUE_MAX));
  kv->add_option_function<std::string>(
        "--time", [&](const std::string& text) { arguments.seconds = parse_seconds(text); },
        "Duration of the measured load: 10s (default 10s)")
      ->type_name("TIME");
  kv->add_option("--read-ratio", arguments.read_ratio, "Fraction of reads, 0 to 1")
      ->capture_default_str()
      ->check(number(0.0, 1.0));
  kv->add_option("--keys", arguments.keys, "Number of keys, of 16 bytes, chosen uniformly")
      ->capture_default_str()
      ->check(number(1u, 100'000'000u));
  kv->add_flag("!--no-preload", arguments.preload, "Do not write every key once first");
  kv->add_flag("!--no-verify", arguments.verify,
               "Do not read every key back at the end; lost writes are not detected");
  kv->callback([&] { program.run = [&] { return bench_kv(program.globals, program.bench); }; });
}

// Whether errors are wanted as JSON, also of a command line that is wrong.
bool wants_json(int argc, char** argv) {
  for (int i = 1; i < argc; ++i) {
    const std::string_view word = argv[i];
    if (word == "--output=json" || word == "-ojson" || word == "-o=json") return true;
    if ((word == "-o" || word == "--output") && i + 1 < argc &&
        std::string_view(argv[i + 1]) == "json") {
      return true;
    }
  }
  return false;
}

}  // namespace

int main(int argc, char** argv) {
  command_line::open_standard_streams();
  Program program;
  const std::string version = std::string("bop ") + bop_version();
  CLI::App app("bop: keys and values, status and logs of a bop cluster", "bop");
  command_line::use_help(app);
  app.set_version_flag("--version", version);
  app.require_subcommand(1);
  app.fallthrough();
  app.footer(
      "Exit codes: 0 done; 1 not found, or a condition failed; 2 usage error; 3 unavailable or "
      "timed\n"
      "out, or the output could not be written.");
  add_globals(app, program);
  add_writes(app, program);
  add_reads(app, program);
  add_raw(app, program);
  add_log(app, program);
  add_bench(app, program);
  if (const auto text = command_line::document(app, version, argc, argv)) {
    std::fputs(text->c_str(), stdout);
    return command_line::end("bop", ok, unavailable);
  }
  command_line::Complain complain;
  if (wants_json(argc, argv)) {
    complain = [](const std::string& text) { print_json_error(BOP_E_INVALID_ARGUMENT, text); };
  }
  const std::optional<int> ended = command_line::parse(app, argc, argv, usage, complain);
  return command_line::end("bop", ended ? *ended : program.run(), unavailable);
}

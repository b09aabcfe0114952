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

// A duration in seconds: "5", "5s", "500ms", "2m". Without a unit: seconds.
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

// The parsed command line: the arguments of all commands, and the command to run.
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
  app.add_option("--endpoint", globals.endpoints,
                 "Native listeners to connect to: HOST:PORT[,HOST:PORT...]")
      ->type_name("ADDRESS")
      ->envname("BOP_ENDPOINT")
      ->capture_default_str();
  app.add_option("--group", globals.group, "Name of the group that the command addresses")
      ->type_name("NAME")
      ->capture_default_str();
  app.add_option_function<std::string>(
         "--timeout",
         [&globals](const std::string& text) {
           globals.timeout_ms = static_cast<uint32_t>(std::max(1.0, parse_seconds(text) * 1000));
           globals.has_timeout = true;
         },
         "Time limit of a request, such as 500ms, 5s or 2m (default 5s; of snapshots 60m)")
      ->type_name("TIME");
  app.add_option_function<std::string>(
         "-o,--output", [&globals](const std::string& form) { globals.json = form == "json"; },
         "Output format (default table); with json, errors are JSON on standard error")
      ->check(command_line::one_of({"table", "json"}))
      ->type_name("FORM");
}

void add_writes(CLI::App& app, Program& program) {
  CLI::App* put = app.add_subcommand("put", "Write a value");
  put->add_option("key", program.put.key, "The key, of 1 to 1024 bytes")->required();
  put->add_option("value", program.put.value,
                  "The value, at most 1 MiB; if omitted or -, it is read from standard input");
  CLI::Option* absent =
      put->add_flag("--if-absent", program.put.if_absent, "Only if the key does not exist");
  put->add_flag("--if-present", program.put.if_present, "Only if the key exists")->excludes(absent);
  put->add_option("--if-revision", program.put.if_revision,
                  "Only if the key has this revision; 0: only if it does not exist")
      ->type_name("REVISION")
      ->check(number<uint64_t>());
  put->callback([&] { program.run = [&] { return ::put(program.globals, program.put); }; });

  CLI::App* del = app.add_subcommand("delete", "Delete keys atomically and print how many existed");
  del->add_option("key", program.keys, "The keys, at most 1024")->required();
  del->callback([&] { program.run = [&] { return remove(program.globals, program.keys); }; });

  CLI::App* incr = app.add_subcommand(
      "incr", "Add to a number atomically and print the sum; a missing key counts as 0");
  incr->add_option("key", program.key, "The key")->required();
  incr->add_option("by", program.by,
                   "The number to add (default 1); write -- before a negative one")
      ->check(number<int64_t>());
  incr->callback(
      [&] { program.run = [&] { return increment(program.globals, program.key, program.by); }; });

  CLI::App* cas = app.add_subcommand("cas", "Write a value if the key has the expected value");
  cas->add_option("key", program.key, "The key")->required();
  cas->add_option("expected", program.expected, "The value that the key must have")->required();
  cas->add_option("value", program.value, "The value to write")->required();
  cas->callback([&] {
    program.run = [&] {
      return compare_and_set(program.globals, program.key, program.expected, program.value);
    };
  });
}

void add_reads(CLI::App& app, Program& program) {
  CLI::App* get = app.add_subcommand("get", "Print a value, byte for byte");
  get->add_option("key", program.key, "The key")->required();
  get->callback([&] { program.run = [&] { return ::get(program.globals, program.key); }; });

  CLI::App* range = app.add_subcommand("range", "List keys in order");
  range->add_option("first", program.range.first,
                    "First key of the range, inclusive (default: the first key)");
  range->add_option("end", program.range.end,
                    "End of the range, exclusive (default: after the last key)");
  range
      ->add_option("--prefix", program.range.prefix,
                   "Only keys with this prefix; excludes FIRST and END")
      ->type_name("PREFIX")
      ->excludes("first")
      ->excludes("end");
  range->add_option("--limit", program.range.limit, "Largest number of keys to list")
      ->type_name("N")
      ->capture_default_str()
      ->check(number<uint64_t>(1, 100'000'000));
  range->add_flag("--keys-only", program.range.keys_only, "List keys without their values");
  range->callback([&] { program.run = [&] { return ::range(program.globals, program.range); }; });

  CLI::App* status = app.add_subcommand("status", "Show every node of the cluster");
  status->footer(
      "The table merges the answers of all endpoints; endpoints that do not answer are reported "
      "on\n"
      "standard error. With -o json: the first answer, as GET /v1/status. The exit code is 0 if "
      "some\n"
      "group has a quorum and a node that is ready, otherwise 3.");
  status->add_flag("--all", program.all, "With -o json: a list with the answers of all endpoints");
  status->callback([&] { program.run = [&] { return ::status(program.globals, program.all); }; });
}

void add_raw(CLI::App& app, Program& program) {
  const auto add = [&](const char* name, const char* help, const char* what, RawKind kind) {
    CLI::App* command = app.add_subcommand(name, help);
    command->add_option("payload", program.raw.payload, what);
    command->add_flag("--hex", program.raw.hex,
                      "Read the payload and print the reply as hexadecimal digits");
    command->callback([&program, kind] {
      program.run = [&program, kind] { return raw(program.globals, program.raw, kind); };
    });
  };
  add("propose", "Send a command to any machine, byte for byte, and print its reply",
      "The command; @FILE: the bytes of a file; if omitted or -, standard input", RawKind::command);
  add("query", "Send a query to any machine, byte for byte, and print its answer",
      "The query; @FILE: the bytes of a file; if omitted or -, standard input", RawKind::question);
}

void add_log(CLI::App& app, Program& program) {
  CLI::App* log = app.add_subcommand("log", "Read a write-ahead log");
  log->require_subcommand(1);
  CLI::App* inspect =
      log->add_subcommand("inspect", "Print the contents of a log without changing it");
  inspect->footer(
      "With -o json: one list with an object per finding. The exit code is 1 if a range is damaged "
      "or\n"
      "suspect, or if there is no log.");
  inspect
      ->add_option("directory", program.directory,
                   "Data directory of a node, or the directory of one shard in it")
      ->required();
  inspect->callback(
      [&] { program.run = [&] { return inspect_log(program.globals, program.directory); }; });
}

void add_snapshot(CLI::App& app, Program& program) {
  CLI::App* snapshot = app.add_subcommand("snapshot", "Take, list and verify snapshots of a group");
  snapshot->require_subcommand(1);
  const auto add = [&](const char* name, const char* help, const char* footer, SnapshotVerb verb) {
    CLI::App* command = snapshot->add_subcommand(name, help);
    command->footer(footer);
    command->callback([&program, verb] {
      program.run = [&program, verb] { return ::snapshot(program.globals, verb); };
    });
  };
  add("take", "Take a snapshot of the group's state on one node",
      "The node is the first endpoint that answers. With -o json: the snapshot, as GET /v1/status "
      "has it.",
      SnapshotVerb::take);
  add("list", "List the snapshots on every node",
      "Nodes that do not answer are reported on standard error. With -o json: a list with an "
      "object per\n"
      "node.",
      SnapshotVerb::list);
  add("verify", "Compare every part of each node's newest snapshot with its digest",
      "The exit code is 0 if all match, 1 if a part does not, which is named, and 3 if a node does "
      "not\n"
      "answer. With -o json: a list with an object per node.",
      SnapshotVerb::verify);
}

void add_bench(CLI::App& app, Program& program) {
  CLI::App* bench = app.add_subcommand(
      "bench", "Measure throughput and latency, and verify that no write is lost");
  bench->require_subcommand(1);
  CLI::App* kv = bench->add_subcommand("kv", "Load a group that runs kv, over the native protocol");
  kv->footer(
      "Phases: preload every key, run the load for --time, read every key back. The benchmark ends "
      "with\n"
      "exit code 3 if no key can be preloaded within --timeout, or if preloading or reading back "
      "makes\n"
      "no progress for 15 s; with 1 if an acknowledged write is missing.");
  BenchArguments& arguments = program.bench;
  kv->add_option("--clients", arguments.clients, "Number of connections")
      ->type_name("N")
      ->capture_default_str()
      ->check(number(1u, 4096u));
  kv->add_option("--pipeline", arguments.pipeline, "Requests in flight per connection")
      ->type_name("N")
      ->capture_default_str()
      ->check(number(1u, 1024u));
  kv->add_option("--size", arguments.size_bytes, "Size of a value in bytes")
      ->type_name("BYTES")
      ->capture_default_str()
      ->check(number(1u, BOP_KV_VALUE_MAX));
  kv->add_option_function<std::string>(
        "--time", [&](const std::string& text) { arguments.seconds = parse_seconds(text); },
        "Duration of the load, such as 10s or 2m (default 10s)")
      ->type_name("TIME");
  kv->add_option("--read-ratio", arguments.read_ratio, "Fraction of requests that are reads")
      ->type_name("RATIO")
      ->capture_default_str()
      ->check(number(0.0, 1.0));
  kv->add_option("--keys", arguments.keys, "Number of keys (16 bytes each), chosen uniformly")
      ->type_name("N")
      ->capture_default_str()
      ->check(number(1u, 100'000'000u));
  kv->add_flag_callback(
      "--no-preload", [&] { arguments.preload = false; },
      "Do not write every key once before the load");
  kv->add_flag_callback(
      "--no-verify", [&] { arguments.verify = false; },
      "Do not read the keys back at the end: lost writes are not detected");
  kv->callback([&] { program.run = [&] { return bench_kv(program.globals, program.bench); }; });
}

// Whether errors are to be JSON: decided before the command line is parsed, whose errors are JSON too.
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
  CLI::App app("bop: command line for a bop cluster: keys and values, status, logs, benchmark",
               "bop");
  command_line::use_help(app);
  app.set_version_flag("--version", version);
  app.require_subcommand(1);
  app.fallthrough();
  app.footer(
      "Exit codes: 0 success; 1 not found, or a condition failed; 2 usage error; 3 unavailable, "
      "timed\n"
      "out, or the output could not be written.");
  add_globals(app, program);
  add_writes(app, program);
  add_reads(app, program);
  add_raw(app, program);
  add_log(app, program);
  add_snapshot(app, program);
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

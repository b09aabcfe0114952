// bopd: the daemon.
#include <cstdio>
#include <functional>

#include "bop/bop.h"
#include "command_line/command_line.h"
#include "command_line/documents.h"
#include "command_line/standard_streams.h"
#include "commands.h"

namespace {

using command_line::number;

struct Program {
  Sources sources;
  DevArguments dev;
  bool origin = false;
  int die_with = 0;
  std::function<Exit()> run;
};

void add_sources(CLI::App* command, Sources& sources) {
  command->add_option("-c,--config", sources.file, "Configuration file, in TOML")
      ->type_name("FILE");
  command
      ->add_option("--set", sources.sets,
                   "Set a key; overrides the environment (BOP_KEY) and the file")
      ->type_name("KEY=VALUE")
      ->allow_extra_args(false);
  command->add_flag(
      "--insecure", sources.insecure,
      "Permit addresses outside loopback although nothing is encrypted or authenticated");
}

void add_commands(CLI::App& app, Program& program) {
  CLI::App* start = app.add_subcommand("start", "Run a node in the foreground");
  add_sources(start, program.sources);
  start->add_option("--die-with", program.die_with, "")->group("");  // used by `bopd dev`
  start->callback(
      [&] { program.run = [&] { return ::start(program.sources, program.die_with); }; });

  CLI::App* format = app.add_subcommand("format", "Create the data directory of a new node");
  add_sources(format, program.sources);
  format->callback([&] { program.run = [&] { return ::format(program.sources); }; });

  CLI::App* config = app.add_subcommand("config", "Check or show the configuration");
  config->require_subcommand(1);
  CLI::App* check = config->add_subcommand(
      "check", "Check whether a node can be started with this configuration; changes nothing");
  add_sources(check, program.sources);
  check->callback([&] { program.run = [&] { return check_config(program.sources); }; });
  CLI::App* show = config->add_subcommand("show", "Print every key with its value");
  add_sources(show, program.sources);
  show->add_flag("--origin", program.origin, "Also print the source of each value");
  show->callback(
      [&] { program.run = [&] { return show_config(program.sources, program.origin); }; });
}

void add_dev(CLI::App& app, Program& program) {
  CLI::App* dev = app.add_subcommand("dev", "Run a cluster on this machine in the foreground");
  DevArguments& arguments = program.dev;
  dev->add_option("--nodes", arguments.nodes, "Number of nodes; each is a process")
      ->type_name("N")
      ->capture_default_str()
      ->check(number(1u, 64u));
  dev->add_option(
         "--data", arguments.data,
         "Data directory; node k uses DIR/k (default: a temporary directory, removed at the end)")
      ->type_name("DIR");
  dev->add_option(
         "--base-port", arguments.base_port,
         "First port; node k uses PORT+10(k-1) and the next three: native, RESP, HTTP, peer")
      ->capture_default_str()
      ->type_name("PORT")
      ->check(number<uint16_t>(1, 65532));
  dev->add_option("--ready-file", arguments.ready_file,
                  "File that is created when the cluster serves requests, with the nodes as JSON")
      ->type_name("FILE");
  dev->add_option("--set", arguments.sets, "Set a key in the bopd.toml of each node")
      ->type_name("KEY=VALUE")
      ->allow_extra_args(false);
  dev->callback([&] { program.run = [&] { return ::dev(program.dev); }; });
}

}  // namespace

int main(int argc, char** argv) {
  command_line::open_standard_streams();
  Program program;
  CLI::App app("bopd: the daemon of bop, a replicated state machine engine", "bopd");
  command_line::use_help(app);
  app.set_version_flag("--version", std::string("bopd ") + bop_version());
  app.require_subcommand(1);
  app.footer(
      "Exit codes: 0 success; 1 refused: the data directory is of another node, already or not\n"
      "formatted, or damaged; 2 usage error or invalid configuration; 3 failure: a port or "
      "directory\n"
      "in use, a full disk, an I/O error.");
  add_commands(app, program);
  add_dev(app, program);
  const std::string version = std::string("bopd ") + bop_version();
  if (const auto text = command_line::document(app, version, argc, argv)) {
    std::fputs(text->c_str(), stdout);
    return command_line::end("bopd", ok, failed);
  }
  if (const auto ended = command_line::parse(app, argc, argv, usage))
    return command_line::end("bopd", *ended, failed);
  return program.run();
}

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
  command->add_option("-c,--config", sources.file, "The configuration file, in TOML")
      ->type_name("FILE");
  command->add_option("--set", sources.sets, "Overrides the environment (BOP_KEY) and the file")
      ->type_name("KEY=VALUE")
      ->allow_extra_args(false);
  command->add_flag("--insecure", sources.insecure,
                    "Allow addresses outside loopback, although nothing is encrypted");
}

void add_commands(CLI::App& app, Program& program) {
  CLI::App* start = app.add_subcommand("start", "Run a node in the foreground");
  add_sources(start, program.sources);
  start->add_option("--die-with", program.die_with, "")->group("");  // `bopd dev` says it
  start->callback(
      [&] { program.run = [&] { return ::start(program.sources, program.die_with); }; });

  CLI::App* format = app.add_subcommand("format", "Create the data directory of a new node");
  add_sources(format, program.sources);
  format->callback([&] { program.run = [&] { return ::format(program.sources); }; });

  CLI::App* config = app.add_subcommand("config", "Check or show the configuration");
  config->require_subcommand(1);
  CLI::App* check = config->add_subcommand(
      "check", "Check that a node can be started with this configuration, and change nothing");
  add_sources(check, program.sources);
  check->callback([&] { program.run = [&] { return check_config(program.sources); }; });
  CLI::App* show = config->add_subcommand("show", "Print each key with its value");
  add_sources(show, program.sources);
  show->add_flag("--origin", program.origin, "Also print where each value comes from");
  show->callback(
      [&] { program.run = [&] { return show_config(program.sources, program.origin); }; });
}

void add_dev(CLI::App& app, Program& program) {
  CLI::App* dev = app.add_subcommand("dev", "Run a cluster on this machine in the foreground");
  DevArguments& arguments = program.dev;
  dev->add_option("--nodes", arguments.nodes, "The number of nodes, each a process")
      ->capture_default_str()
      ->check(number(1u, 64u));
  dev->add_option("--data", arguments.data,
                  "Node k keeps its data in DIR/k (default: a temporary directory)")
      ->type_name("DIR");
  dev->add_option("--base-port", arguments.base_port,
                  "Node k uses four ports from PORT+10(k-1): native, RESP, HTTP, peers")
      ->capture_default_str()
      ->type_name("PORT")
      ->check(number<uint16_t>(1, 65532));
  dev->add_option("--ready-file", arguments.ready_file,
                  "Created, with the nodes as JSON, when the cluster serves")
      ->type_name("FILE");
  dev->add_option("--set", arguments.sets, "Written into the bopd.toml of each node")
      ->type_name("KEY=VALUE")
      ->allow_extra_args(false);
  dev->callback([&] { program.run = [&] { return ::dev(program.dev); }; });
}

}  // namespace

int main(int argc, char** argv) {
  command_line::open_standard_streams();
  Program program;
  CLI::App app("bopd: replicated state machines, on one node or many", "bopd");
  command_line::use_help(app);
  app.set_version_flag("--version", std::string("bopd ") + bop_version());
  app.require_subcommand(1);
  app.footer(
      "Exit codes: 0 done; 1 refused, such as another node's directory; 2 usage error or invalid\n"
      "configuration; 3 failed, such as a port in use.");
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

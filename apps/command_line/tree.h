// The tree of a program's commands, as its help, its manual page and its completions show it.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace command_line {

// A command and the words that lead to it: "bop bench kv".
struct Command {
  const CLI::App* app = nullptr;
  std::string path;
};

// The command itself, then all below it, in the order of the help.
std::vector<Command> all_commands(const CLI::App& app);
// The one that the parsed command line led to.
Command chosen(const CLI::App& app);
// Those directly below it.
std::vector<const CLI::App*> commands_of(const CLI::App& app);

// Options with names; hidden ones are left out.
std::vector<const CLI::Option*> named_options(const CLI::App& app);
std::vector<const CLI::Option*> arguments(const CLI::App& app);
// What the root's options are to its commands: all but those that end the program at once.
std::vector<const CLI::Option*> global_options(const CLI::App& root);
// All long names that the command takes: "--timeout".
std::vector<std::string> option_names(const Command& command);

// "KEY", and with brackets and dots "[VALUE]" or "KEY...".
std::string argument_name(const CLI::Option& option);
std::string argument_usage(const CLI::Option& option);
// "bop put [OPTIONS] KEY [VALUE]".
std::string usage_of(const Command& command);

bool takes_value(const CLI::Option& option);
// "FILE" of an option that takes one.
std::string value_name(const CLI::Option& option);
// The words that the option's value may be; empty: any.
std::vector<std::string> choices(const CLI::Option& option);

}  // namespace command_line

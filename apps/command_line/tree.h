// The tree of a program's commands, for its help, manual page and completions.
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

// The app itself and all commands below it, in the order of the help.
std::vector<Command> all_commands(const CLI::App& app);
// The command that the parsed command line selected.
Command chosen(const CLI::App& app);
// The commands directly below it.
std::vector<const CLI::App*> commands_of(const CLI::App& app);

// Options with names, without hidden ones.
std::vector<const CLI::Option*> named_options(const CLI::App& app);
std::vector<const CLI::Option*> arguments(const CLI::App& app);
// The root's options that its commands accept too: all except --help and --version.
std::vector<const CLI::Option*> global_options(const CLI::App& root);
// All long names that the command accepts, such as "--timeout".
std::vector<std::string> option_names(const Command& command);

// "KEY"; argument_usage adds brackets and dots: "[VALUE]", "KEY...".
std::string argument_name(const CLI::Option& option);
std::string argument_usage(const CLI::Option& option);
// "bop put [OPTIONS] KEY [VALUE]".
std::string usage_of(const Command& command);

bool takes_value(const CLI::Option& option);
// The name of the option's value, such as "FILE".
std::string value_name(const CLI::Option& option);
// The permitted values of the option; empty: any.
std::vector<std::string> choices(const CLI::Option& option);

}  // namespace command_line

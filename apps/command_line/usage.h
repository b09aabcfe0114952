// How a program explains its command line, and what is wrong with one.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace command_line {

// Help whose commands also show the options that all commands take. Before the first command is added.
void use_help(CLI::App& app);

// Says what is wrong with the command line: on standard error, unless the program has another form for it.
using Complain = std::function<void(const std::string& text)>;

// Nothing when the program may go on; else its exit code: 0 after --help and the like, `wrong` after a
// complaint.
std::optional<int> parse(CLI::App& app, int count, char** values, int wrong,
                         const Complain& complain = {});

// Up to two of the names that the word was likely meant to be, the nearest first.
std::vector<std::string> nearest(std::string_view word, const std::vector<std::string>& names);

// The exit code at a program's end: `lost` when it went well, but not all it printed could be written.
int end(const char* program, int code, int lost);

}  // namespace command_line

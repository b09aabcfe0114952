// Help, and messages for invalid command lines.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace command_line {

// Makes the help of every command show the global options too. Call it before the first command is added.
void use_help(CLI::App& app);

// Reports what is wrong with the command line. The default prints to standard error.
using Complain = std::function<void(const std::string& text)>;

// nullopt if the program can continue; otherwise its exit code: 0 after --help and --version, `wrong` after an
// error.
std::optional<int> parse(CLI::App& app, int count, char** values, int wrong,
                         const Complain& complain = {});

// Up to two names that are similar to the word, the most similar first.
std::vector<std::string> nearest(std::string_view word, const std::vector<std::string>& names);

// Flushes standard output and returns the exit code of the program: `code`, or `lost` if `code` is 0 and some output
// could not be written.
int end(const char* program, int code, int lost);

}  // namespace command_line

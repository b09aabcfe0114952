// A program's manual page and completions, made of the same commands and options as its help.
#pragma once

#include <CLI/CLI.hpp>
#include <optional>
#include <string>
#include <string_view>

namespace command_line {

// `version` as the program says it.
std::string manual_page(const CLI::App& app, std::string_view version);
std::string bash_completion(const CLI::App& app);
std::string zsh_completion(const CLI::App& app);
std::string fish_completion(const CLI::App& app);

// For the build: `PROGRAM --make-document man|bash|zsh|fish` as the only arguments prints one. Nothing: the
// command line is another.
std::optional<std::string> document(const CLI::App& app, std::string_view version, int count,
                                    char** values);

}  // namespace command_line

// A program's manual page and completions, generated from the commands and options of its help.
#pragma once

#include <CLI/CLI.hpp>
#include <optional>
#include <string>
#include <string_view>

namespace command_line {

// `version`: as printed by --version, such as "bop 0.1.0".
std::string manual_page(const CLI::App& app, std::string_view version);
std::string bash_completion(const CLI::App& app);
std::string zsh_completion(const CLI::App& app);
std::string fish_completion(const CLI::App& app);

// For the build: the document that `PROGRAM --make-document man|bash|zsh|fish` asks for. nullopt: the command line
// is a different one.
std::optional<std::string> document(const CLI::App& app, std::string_view version, int count,
                                    char** values);

}  // namespace command_line

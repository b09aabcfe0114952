// Input of the commands: standard input and files.
#pragma once

#include <cstddef>
#include <expected>
#include <string>

#include "session.h"

// Standard input up to its end, or its first `most_bytes`. One that cannot be read (it is closed, or a directory) is
// not an empty one: the error is reported, and its exit code returned.
std::expected<std::string, Exit> read_standard_input(const Globals& globals, size_t most_bytes);

// The same of a file.
std::expected<std::string, Exit> read_file(const Globals& globals, const std::string& path,
                                           size_t most_bytes);

// Files and directories that survive a power loss.
#pragma once

#include <filesystem>
#include <string_view>
#include <system_error>

// Creates the directories of the path that do not exist. When this returns they are durable.
std::error_code make_directories(const std::filesystem::path& path);

// Replaces the file atomically: after a power loss at any time the path names the complete old file or the
// complete new one. When this returns the new one is durable.
std::error_code write_durably(const std::filesystem::path& path, std::string_view text);

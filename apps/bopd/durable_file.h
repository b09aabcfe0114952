// Files that are still there, and whole, after a power cut.
#pragma once

#include <filesystem>
#include <string_view>
#include <system_error>

// Creates what is missing of the path; each new folder's name is on the device when this returns.
std::error_code make_directories(const std::filesystem::path& path);

// Replaces the file by the text: afterwards, and after a power cut at any time, the path names the old file
// or the whole new one. When this returns, the new one, by its name, is on the device.
std::error_code write_durably(const std::filesystem::path& path, std::string_view text);

#include "input.h"

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "bop/error.h"

namespace {

std::unexpected<Exit> unreadable(const Globals& globals, const std::string& name, int error) {
  return std::unexpected(
      report(globals, BOP_E_INVALID_ARGUMENT, name + " cannot be read: " + std::strerror(error)));
}

std::expected<std::string, Exit> read_all(const Globals& globals, std::FILE* file,
                                          const std::string& name, size_t most_bytes) {
  std::string text;
  char buffer[65536];
  while (text.size() < most_bytes) {
    const size_t read = std::fread(buffer, 1, sizeof buffer, file);
    if (read == 0 && std::ferror(file) != 0) return unreadable(globals, name, errno);
    if (read == 0) break;
    text.append(buffer, read);
  }
  if (text.size() > most_bytes) text.resize(most_bytes);
  return text;
}

}  // namespace

std::expected<std::string, Exit> read_standard_input(const Globals& globals, size_t most_bytes) {
  return read_all(globals, stdin, "standard input", most_bytes);
}

std::expected<std::string, Exit> read_file(const Globals& globals, const std::string& path,
                                           size_t most_bytes) {
  std::FILE* const file = std::fopen(path.c_str(), "rbe");
  if (file == nullptr) return unreadable(globals, path, errno);
  std::expected<std::string, Exit> text = read_all(globals, file, path, most_bytes);
  std::fclose(file);
  return text;
}

#include "durable_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <string>

namespace {

namespace fs = std::filesystem;

std::error_code last_error() { return {errno, std::generic_category()}; }

class Descriptor {
 public:
  explicit Descriptor(int native) : native_(native) {}
  ~Descriptor() {
    if (native_ >= 0) close(native_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int native() const { return native_; }

 private:
  const int native_;
};

std::error_code sync_directory(const fs::path& path) {
  const fs::path named = path.empty() ? "." : path;
  const Descriptor directory(open(named.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (directory.native() < 0 || fsync(directory.native()) != 0) return last_error();
  return {};
}

std::error_code write_and_sync(const fs::path& path, std::string_view text) {
  const Descriptor file(open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666));
  if (file.native() < 0) return last_error();
  while (!text.empty()) {
    const ssize_t written = write(file.native(), text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return last_error();
    text.remove_prefix(static_cast<size_t>(written));
  }
  return fsync(file.native()) == 0 ? std::error_code() : last_error();
}

}  // namespace

std::error_code make_directories(const fs::path& path) {
  std::error_code error;
  if (path.empty() || fs::is_directory(path, error)) return {};
  if ((error = make_directories(path.parent_path()))) return error;
  fs::create_directory(path, error);
  return error ? error : sync_directory(path.parent_path());
}

std::error_code write_durably(const fs::path& path, std::string_view text) {
  const fs::path aside = path.string() + ".new";
  if (const std::error_code error = write_and_sync(aside, text)) return error;
  if (std::rename(aside.c_str(), path.c_str()) != 0) return last_error();
  return sync_directory(path.parent_path());
}

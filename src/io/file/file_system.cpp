#include "io/file/file_system.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <string_view>
#include <utility>

#include "base/logging.h"
#include "io/file/descriptor.h"
#include "io/file/os_error.h"
#include "io/file/pool_engine.h"
#include "io/file/posix_file.h"
#include "io/file/uring_engine.h"
#include "io/worker.h"

namespace bop::io {

namespace {

Status check_name(std::string_view name) {
  const bool absolute = name.starts_with('/');
  bool climbs = false;
  for (size_t at = 0; at <= name.size();) {
    const size_t end = std::min(name.find('/', at), name.size());
    climbs = climbs || name.substr(at, end - at) == "..";
    at = end + 1;
  }
  if (!name.empty() && !absolute && !climbs) return {};
  return fail(BOP_E_INVALID_ARGUMENT,
              "the file name \"" + std::string(name) + "\" is empty, absolute or contains \"..\"");
}

Status sync_directory(int root, const std::string& name) {
  const Descriptor directory(openat(root, name.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory) return os_failure(errno, "open", name);
  if (fsync(directory.get()) != 0) return os_failure(errno, "sync", name);
  return {};
}

Status remove(int root, const std::string& name) {
  if (unlinkat(root, name.c_str(), 0) == 0) return {};
  // EISDIR from Linux, EPERM elsewhere.
  if ((errno == EISDIR || errno == EPERM) && unlinkat(root, name.c_str(), AT_REMOVEDIR) == 0) {
    return {};
  }
  return os_failure(errno, "removal", name);
}

Status rename(int root, const std::string& from, const std::string& to) {
  if (renameat(root, from.c_str(), root, to.c_str()) == 0) return {};
  return os_failure(errno, "renaming", from + " to " + to);
}

Result<size_t> size_or_error(const Status& status) {
  if (!status) return std::unexpected(status.error());
  return size_t{0};
}

class HostFileSystem final : public FileSystem {
 public:
  HostFileSystem(const std::string& root, Descriptor directory, std::unique_ptr<Engine> engine,
                 std::unique_ptr<port::Worker> worker, Duration lock_patience)
      : root_(root),
        lock_patience_(lock_patience),
        directory_(std::move(directory)),
        engine_(std::move(engine)),
        worker_(std::move(worker)) {}

  const char* backend() const override { return engine_->name(); }
  bool at_rest() const override { return operations_.at_rest(); }

  void open(std::string name, port::FileOptions options, std::unique_ptr<port::File>& file,
            port::FileCompletion& done) override {
    auto result = std::make_shared<Result<OpenFile>>(OpenFile{});
    worker_->submit(
        [this, name, options, result] {
          const Status good = check_name(name);
          *result = good ? open_file(directory_.get(), name, options, lock_patience_)
                         : Result<OpenFile>(std::unexpected(good.error()));
        },
        [this, name, &file, &done, result] {
          if (*result) file = make_file(std::move(**result), name);
          done.complete(*result ? Result<size_t>(0) : std::unexpected(result->error()));
        });
  }
  void remove(std::string name, port::FileCompletion& done) override {
    submit([this, name] { return remove_now(name); }, done);
  }
  void rename(std::string from, std::string to, port::FileCompletion& done) override {
    submit([this, from, to] { return rename_now(from, to); }, done);
  }
  void sync_directory(std::string name, port::FileCompletion& done) override {
    submit([this, name] { return sync_directory_now(name); }, done);
  }

  Result<std::unique_ptr<port::File>> open_now(const std::string& name,
                                               port::FileOptions options) override {
    BOP_TRY(check_name(name));
    BOP_TRY_ASSIGN(OpenFile opened, open_file(directory_.get(), name, options, lock_patience_));
    return make_file(std::move(opened), name);
  }
  Result<std::vector<std::string>> list_now(const std::string& directory) override;
  Status make_directory_now(const std::string& name) override;
  Status remove_now(const std::string& name) override {
    BOP_TRY(check_name(name));
    return io::remove(directory_.get(), name);
  }
  Status rename_now(const std::string& from, const std::string& to) override {
    BOP_TRY(check_name(from));
    BOP_TRY(check_name(to));
    return io::rename(directory_.get(), from, to);
  }
  Status sync_directory_now(const std::string& name) override {
    BOP_TRY(check_name(name));
    return io::sync_directory(directory_.get(), name);
  }
  Result<uint64_t> free_bytes() const override {
    struct statvfs status;
    if (fstatvfs(directory_.get(), &status) != 0)
      return os_failure(errno, "free space", root_.string());
    return static_cast<uint64_t>(status.f_bavail) * status.f_frsize;
  }
  std::string describe(const std::string& name) const override { return (root_ / name).string(); }

 private:
  std::unique_ptr<port::File> make_file(OpenFile opened, const std::string& name) {
    return std::make_unique<PosixFile>(std::move(opened), name, *engine_, operations_);
  }

  void submit(std::function<Status()> work, port::FileCompletion& done) {
    auto result = std::make_shared<Status>();
    worker_->submit([work = std::move(work), result] { *result = work(); },
                    [result, &done] { done.complete(size_or_error(*result)); });
  }

  const std::filesystem::path root_;
  const Duration lock_patience_;
  const Descriptor directory_;
  OperationPool operations_;  // declared before the engine, whose destructor waits for operations
  const std::unique_ptr<Engine> engine_;
  const std::unique_ptr<port::Worker> worker_;
};

Result<std::vector<std::string>> HostFileSystem::list_now(const std::string& directory) {
  BOP_TRY(check_name(directory));
  Descriptor opened(
      openat(directory_.get(), directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!opened) return os_failure(errno, "open", directory);
  DIR* stream = fdopendir(opened.get());
  if (stream == nullptr) return os_failure(errno, "listing", directory);
  opened.release();  // closedir closes it
  std::vector<std::string> names;
  errno = 0;
  while (const dirent* entry = readdir(stream)) {
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") names.emplace_back(name);
  }
  const int error_number = errno;
  closedir(stream);
  if (error_number != 0) return os_failure(error_number, "listing", directory);
  std::sort(names.begin(), names.end());
  return names;
}

Status HostFileSystem::make_directory_now(const std::string& name) {
  BOP_TRY(check_name(name));
  for (size_t end = 0; end < name.size();) {
    end = std::min(name.find('/', end + 1), name.size());
    const std::string upper = name.substr(0, end);
    // An existing directory is synced too: the process that made it may have died before its sync.
    if (mkdirat(directory_.get(), upper.c_str(), 0700) != 0 && errno != EEXIST)
      return os_failure(errno, "making directory", upper);
    const size_t slash = upper.rfind('/');
    BOP_TRY(
        io::sync_directory(directory_.get(), slash == upper.npos ? "." : upper.substr(0, slash)));
  }
  // mkdir fails with EEXIST for a file of that name too.
  struct stat status;
  if (fstatat(directory_.get(), name.c_str(), &status, 0) != 0) {
    return os_failure(errno, "stat", name);
  }
  if (!S_ISDIR(status.st_mode)) return os_failure(ENOTDIR, "making directory", name);
  return {};
}

Result<std::unique_ptr<Engine>> make_engine(Loop& loop, const FileSystemOptions& options) {
  if (options.backend != FileBackend::pool) {
    auto uring = UringEngine::make(loop, options.uring_entries);
    if (uring) return std::unique_ptr<Engine>(std::move(*uring));
    if (options.backend == FileBackend::uring) return std::unexpected(uring.error());
    logging::warning("io_uring cannot be used ({}): files are written by {} threads instead",
                     uring.error().detail, options.pool_threads);
  }
  BOP_TRY_ASSIGN(auto pool, PoolEngine::make(loop, options.pool_threads));
  return pool;
}

}  // namespace

Result<std::unique_ptr<FileSystem>> open_file_system(Loop& loop, const std::string& root,
                                                     const FileSystemOptions& options) {
  Descriptor directory(open(root.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory) return os_failure(errno, "open", root);
  BOP_TRY_ASSIGN(auto engine, make_engine(loop, options));
  BOP_TRY_ASSIGN(auto worker, make_worker(loop, "bop-files"));
  return std::make_unique<HostFileSystem>(root, std::move(directory), std::move(engine),
                                          std::move(worker), options.lock_patience);
}

}  // namespace bop::io

#include "io/file/posix_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <thread>
#include <utility>

#include "base/assert.h"
#include "base/logging.h"
#include "io/file/os_error.h"

namespace bop::io {

namespace {

// A multiple of every sector size in use, and the log's block size.
constexpr size_t direct_alignment = 4096;

constexpr std::chrono::milliseconds lock_retry_interval(10);

// The error_number of an operation that is refused before it reaches the system; higher than any errno.
constexpr int misaligned = 1 << 20;

const char* action_of(Operation::Kind kind) {
  switch (kind) {
    case Operation::Kind::read: return "read";
    case Operation::Kind::write: return "write";
    case Operation::Kind::sync: return "sync";
  }
  return "?";
}

Error misaligned_error(const char* action, const std::string& name) {
  return {BOP_E_INVALID_ARGUMENT,
          std::string(action) + " of " + name + ": not aligned to 4096 bytes for direct I/O"};
}

int open_flags(port::FileOptions options) {
  int flags = O_CLOEXEC | (options.read_only ? O_RDONLY : O_RDWR);
  if (options.create) flags |= O_CREAT | O_EXCL;
  // Each write is on the device when it returns, as if fdatasync followed it, also without O_DIRECT.
  if (options.synchronous) flags |= O_DSYNC;
  return flags;
}

Result<OpenFile> open_at(int directory, const std::string& name, port::FileOptions options) {
  const int flags = open_flags(options);
  int descriptor = -1;
  // Opening a FIFO would block until another process opens its other end.
  struct stat status;
  if (fstatat(directory, name.c_str(), &status, 0) == 0 && S_ISFIFO(status.st_mode)) {
    return fail(BOP_E_IO, "open of " + name + ": it is a pipe, not a regular file");
  }
  if (options.direct) {
    descriptor = openat(directory, name.c_str(), flags | O_DIRECT, 0600);
    if (descriptor >= 0) return OpenFile{Descriptor(descriptor), true};
    // EINVAL: this file system has no direct I/O. Linux may have created the file nevertheless.
    if (errno != EINVAL) return os_failure(errno, "open", name);
    if (options.create) unlinkat(directory, name.c_str(), 0);
  }
  descriptor = openat(directory, name.c_str(), flags, 0600);
  if (descriptor < 0) return os_failure(errno, "open", name);
  return OpenFile{Descriptor(descriptor), false};
}

Duration since(std::chrono::steady_clock::time_point begin) {
  return std::chrono::nanoseconds(std::chrono::steady_clock::now() - begin).count();
}

double in_seconds(Duration time) { return static_cast<double>(time) / seconds; }

// The lock belongs to the open file description, not to the process: the kernel keeps it, and so the lock,
// for as long as an operation on it is in flight. The lock of the data directory does not cover those
// operations, since it is on another file.
Status lock(int descriptor, const std::string& name, Duration patience) {
  const auto begin = std::chrono::steady_clock::now();
  for (bool told = false; flock(descriptor, LOCK_EX | LOCK_NB) != 0; told = true) {
    if (errno != EWOULDBLOCK) return os_failure(errno, "lock", name);
    if (since(begin) >= patience) {
      return fail(
          BOP_E_DIRECTORY_IN_USE,
          fmt::format("{} is still locked after {:.1f} s: another process writes to it, or a write "
                      "of a process that was killed has not reached the disk yet",
                      name, in_seconds(since(begin))));
    }
    if (!told) {
      logging::warning(
          "{} is locked: waiting up to {:.1f} s for a write that an earlier process left in flight",
          name, in_seconds(patience));
    }
    std::this_thread::sleep_for(lock_retry_interval);
  }
  const Duration waited = since(begin);
  if (waited >= 100 * milliseconds) {
    logging::info("waited {:.1f} s for the lock of {}", in_seconds(waited), name);
  }
  return {};
}

}  // namespace

Result<OpenFile> open_file(int directory, const std::string& name, port::FileOptions options,
                           Duration lock_patience) {
  BOP_TRY_ASSIGN(OpenFile opened, open_at(directory, name, options));
  if (!options.read_only) BOP_TRY(lock(opened.descriptor.get(), name, lock_patience));
  const auto bytes = static_cast<off_t>(options.reserve_bytes);
  if (bytes == 0) return opened;
  // KEEP_SIZE: the file's size is still that of the bytes written.
  if (fallocate(opened.descriptor.get(), FALLOC_FL_KEEP_SIZE, 0, bytes) == 0) return opened;
  const int error = errno;
  if (error == EOPNOTSUPP || error == EINTR) return opened;
  unlinkat(directory, name.c_str(), 0);
  return os_failure(error, "reserving space", name);
}

PosixFile::PosixFile(OpenFile open, std::string name, Engine& engine, OperationPool& operations)
    : open_(std::move(open)), name_(std::move(name)), engine_(engine), operations_(operations) {}

PosixFile::~PosixFile() { BOP_ASSERT_EQ(under_way_, 0u); }

void PosixFile::read(uint64_t offset, std::span<uint8_t> into, port::FileCompletion& done) {
  Operation& operation = make(Operation::Kind::read, offset, done);
  operation.parts.push_back({into.data(), into.size()});
  if (!aligned(offset, into.data(), into.size())) operation.error_number = misaligned;
  start(operation);
}

void PosixFile::write(uint64_t offset, std::span<const Bytes> parts, port::FileCompletion& done) {
  Operation& operation = make(Operation::Kind::write, offset, done);
  for (const Bytes part : parts) {
    operation.parts.push_back({const_cast<uint8_t*>(part.data()), part.size()});
    if (!aligned(offset, part.data(), part.size())) operation.error_number = misaligned;
  }
  start(operation);
}

void PosixFile::sync(port::FileCompletion& done) { start(make(Operation::Kind::sync, 0, done)); }

Operation& PosixFile::make(Operation::Kind kind, uint64_t offset, port::FileCompletion& done) {
  Operation& operation = operations_.take();
  operation.kind = kind;
  operation.descriptor = open_.descriptor.get();
  operation.offset = offset;
  operation.file = this;
  operation.completion = &done;
  return operation;
}

void PosixFile::start(Operation& operation) {
  ++under_way_;
  if (operation.error_number != 0) {
    engine_.refuse(operation);
  } else {
    engine_.start(operation);
  }
}

void PosixFile::finish(Operation& operation) {
  PosixFile& file = *operation.file;
  port::FileCompletion& completion = *operation.completion;
  Result<size_t> result = operation.transferred;
  if (operation.error_number == misaligned) {
    result = std::unexpected(misaligned_error(action_of(operation.kind), file.name_));
  } else if (operation.error_number != 0) {
    result = os_failure(operation.error_number, action_of(operation.kind), file.name_);
  }
  file.operations_.give_back(operation);
  --file.under_way_;
  // Last: the completion may destroy the file.
  completion.complete(std::move(result));
}

bool PosixFile::aligned(uint64_t offset, const void* memory, size_t size) const {
  if (!open_.direct) return true;
  const auto address = reinterpret_cast<uintptr_t>(memory);
  return (offset | size | address) % direct_alignment == 0;
}

Result<size_t> PosixFile::read_now(uint64_t offset, std::span<uint8_t> into) {
  if (!aligned(offset, into.data(), into.size())) {
    return std::unexpected(misaligned_error("read", name_));
  }
  size_t done = 0;
  while (done < into.size()) {
    const ssize_t n = pread(open_.descriptor.get(), into.data() + done, into.size() - done,
                            static_cast<off_t>(offset + done));
    if (n == 0) break;
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return os_failure(errno, "read", name_);
    done += static_cast<size_t>(n);
  }
  return done;
}

Status PosixFile::write_now(uint64_t offset, Bytes bytes) {
  if (!aligned(offset, bytes.data(), bytes.size())) {
    return std::unexpected(misaligned_error("write", name_));
  }
  size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t n = pwrite(open_.descriptor.get(), bytes.data() + done, bytes.size() - done,
                             static_cast<off_t>(offset + done));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return os_failure(n < 0 ? errno : EIO, "write", name_);
    done += static_cast<size_t>(n);
  }
  return {};
}

Status PosixFile::sync_now() {
  while (fdatasync(open_.descriptor.get()) != 0) {
    // EINTR: interrupted before the sync began. Any other failure is final.
    if (errno != EINTR) return os_failure(errno, "sync", name_);
  }
  return {};
}

Result<uint64_t> PosixFile::size() const {
  struct stat status;
  if (fstat(open_.descriptor.get(), &status) != 0) return os_failure(errno, "stat", name_);
  return static_cast<uint64_t>(status.st_size);
}

size_t PosixFile::alignment() const { return open_.direct ? direct_alignment : 1; }

}  // namespace bop::io

// Files for the log: asynchronous reads, writes and syncs that complete on the loop's thread, and
// blocking calls for use before a shard serves (recovery, tools).
//
// Contract (tests/io/file_contract_test.cpp tests every backend and the simulator against it):
//  1. A completion is called exactly once, on the loop's thread, never from within the call that
//     started the operation.
//  2. A write completes as a whole or with an error; the backend continues a short write. The memory
//     passed to read or write stays valid and untouched by the caller until the completion.
//  3. In a file opened with `synchronous`, a completed write is on the device; in another, only after a
//     later sync completed. A failed write or sync promises nothing: its bytes may or may not be in the
//     file, now or after a restart. The backend never retries it.
//  4. Operations on one file may complete in any order. With `direct`, offset, size and memory address
//     are multiples of alignment().
//  5. A read past the end of the file completes with fewer bytes.
//  6. A file may be destroyed (closed) only after all its operations completed.
//  7. A file that is open for writing is locked until its last operation has ended. That may be long
//     after the process that started it was killed: a write that was submitted to the device still lands.
//     Opening the file for writing waits for the lock, so nothing is read or written before an earlier
//     process's write has landed; when that takes too long, opening fails with DIRECTORY_IN_USE.
//     Opening it with `read_only` neither waits nor locks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"

namespace bop::port {

// Called when an operation has ended. Its owner implements it, so that a write allocates nothing. One
// object serves one operation at a time.
class FileCompletion {
 public:
  virtual ~FileCompletion() = default;
  // Bytes read or written; 0 for any other operation.
  virtual void complete(Result<size_t> result) = 0;
};

struct FileOptions {
  bool create = false;  // create the file, which must not exist; without it, the file must exist
  bool read_only = false;
  bool direct = false;       // bypass the page cache, where the file system supports it
  bool synchronous = false;  // a write is on the device when it completes
  // With `create`: allocate that many bytes, if the file system supports it; on failure, no file is left.
  uint64_t reserve_bytes = 0;
};

class File {
 public:
  virtual ~File() = default;

  virtual void read(uint64_t offset, std::span<uint8_t> into, FileCompletion& done) = 0;
  // One write of the concatenation of `parts`. The array of parts is copied, the bytes are not.
  virtual void write(uint64_t offset, std::span<const Bytes> parts, FileCompletion& done) = 0;
  virtual void sync(FileCompletion& done) = 0;

  // Blocking: for use before a shard serves, in tools and in tests.
  virtual Result<size_t> read_now(uint64_t offset, std::span<uint8_t> into) = 0;
  virtual Status write_now(uint64_t offset, Bytes bytes) = 0;
  virtual Status sync_now() = 0;

  virtual Result<uint64_t> size() const = 0;
  virtual size_t alignment() const = 0;  // in bytes; 1 unless direct
  virtual bool direct() const = 0;  // whether the page cache is bypassed, whatever was requested

  // Tells the file its new name, for error messages.
  virtual void renamed(const std::string& name) = 0;
};

// Names are relative to the file system's root directory; "/" separates.
class FileSystem {
 public:
  virtual ~FileSystem() = default;

  // Asynchronous, on a worker thread: for segments that are made while the shard serves. `file` is set
  // before `done` is called.
  virtual void open(std::string name, FileOptions options, std::unique_ptr<File>& file,
                    FileCompletion& done) = 0;
  // Asynchronous too.
  virtual void remove(std::string name, FileCompletion& done) = 0;
  virtual void rename(std::string from, std::string to, FileCompletion& done) = 0;
  virtual void sync_directory(std::string name, FileCompletion& done) = 0;

  // Blocking.
  virtual Result<std::unique_ptr<File>> open_now(const std::string& name, FileOptions options) = 0;
  virtual Result<std::vector<std::string>> list_now(const std::string& directory) = 0;  // sorted
  // Makes the directory and its parents; those that exist already are no error. All are durable when it
  // returns.
  virtual Status make_directory_now(const std::string& name) = 0;
  virtual Status remove_now(const std::string& name) = 0;
  virtual Status rename_now(const std::string& from, const std::string& to) = 0;
  virtual Status sync_directory_now(const std::string& name) = 0;
  virtual Result<uint64_t> free_bytes() const = 0;

  virtual std::string describe(const std::string& name) const = 0;  // the whole path, for messages
};

}  // namespace bop::port

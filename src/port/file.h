// Files for the log: asynchronous reads, writes and syncs with completions on the loop's thread,
// and blocking calls for what happens before a shard serves (recovery, tools).
//
// Contract (tests/io/file_contract_test.cpp holds every backend and the simulator to it):
//  1. A completion is called exactly once, on the loop's thread, never from within the call that
//     started the operation.
//  2. A write completes whole or with an error; a short write is continued by the backend. Bytes
//     given to write, and those given to read, stay valid and untouched until the completion.
//  3. Of a file opened with `synchronous`, a completed write is on the device. Of another, only
//     after a later sync completed. A failed write or sync promises nothing: its bytes may or may not
//     be there, now or after a restart. It is never retried here.
//  4. Operations of one file may complete in any order. With `direct`, offset, size and memory are
//     multiples of alignment().
//  5. A read past the end completes with fewer bytes.
//  6. close, by the destructor, only after every operation of the file completed.
//  7. A file that is open for writing is locked until its last operation has ended, which may be long
//     after the process that started it was killed: a write that the device already has still lands.
//     Opening it for writing waits for the lock, and fails with DIRECTORY_IN_USE when that takes too
//     long; so nothing is read or written before an earlier process's write has landed. Opening it
//     read_only neither waits nor locks.
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

// Called when an operation has ended. Part of its owner, so that a write allocates nothing; one object
// serves one operation at a time.
class FileCompletion {
 public:
  virtual ~FileCompletion() = default;
  // Bytes read or written, 0 for a sync.
  virtual void complete(Result<size_t> result) = 0;
};

struct FileOptions {
  bool create = false;  // it must not exist yet; else it must
  bool read_only = false;
  bool direct = false;       // bypass the page cache; falls back to cached where it cannot be had
  bool synchronous = false;  // each write is on the device when it completes
  // With `create`: allocate that many bytes, where the file system can, or make no file.
  uint64_t reserve_bytes = 0;
};

class File {
 public:
  virtual ~File() = default;

  virtual void read(uint64_t offset, std::span<uint8_t> into, FileCompletion& done) = 0;
  // One write of the concatenation of `parts`; the array itself is copied.
  virtual void write(uint64_t offset, std::span<const Bytes> parts, FileCompletion& done) = 0;
  virtual void sync(FileCompletion& done) = 0;

  // Blocking: before a shard serves, in tools, in tests.
  virtual Result<size_t> read_now(uint64_t offset, std::span<uint8_t> into) = 0;
  virtual Status write_now(uint64_t offset, Bytes bytes) = 0;
  virtual Status sync_now() = 0;

  virtual Result<uint64_t> size() const = 0;
  virtual size_t alignment() const = 0;  // 1 unless direct
  virtual bool direct() const = 0;       // what was had, not what was asked for

  // It has another name now: errors are to name it so.
  virtual void renamed(const std::string& name) = 0;
};

// Names are relative to the file system's root directory; "/" separates.
class FileSystem {
 public:
  virtual ~FileSystem() = default;

  // Asynchronous open on a worker thread, for segments made while the shard serves. `file` is set
  // before `done` is called.
  virtual void open(std::string name, FileOptions options, std::unique_ptr<File>& file,
                    FileCompletion& done) = 0;
  // Asynchronous removal and directory sync, on a worker thread.
  virtual void remove(std::string name, FileCompletion& done) = 0;
  virtual void rename(std::string from, std::string to, FileCompletion& done) = 0;
  virtual void sync_directory(std::string name, FileCompletion& done) = 0;

  // Blocking.
  virtual Result<std::unique_ptr<File>> open_now(const std::string& name, FileOptions options) = 0;
  virtual Result<std::vector<std::string>> list_now(const std::string& directory) = 0;  // sorted
  // Parents too; may exist. They are durable when it returns.
  virtual Status make_directory_now(const std::string& name) = 0;
  virtual Status remove_now(const std::string& name) = 0;
  virtual Status rename_now(const std::string& from, const std::string& to) = 0;
  virtual Status sync_directory_now(const std::string& name) = 0;
  virtual Result<uint64_t> free_bytes() const = 0;

  virtual std::string describe(const std::string& name) const = 0;  // for messages: the whole path
};

}  // namespace bop::port

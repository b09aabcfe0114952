// A file: blocking calls are made directly, asynchronous operations go through an engine.
#pragma once

#include <string>

#include "base/time.h"
#include "io/file/descriptor.h"
#include "io/file/operation.h"
#include "port/file.h"

namespace bop::io {

struct OpenFile {
  Descriptor descriptor{-1};
  bool direct = false;  // opened with O_DIRECT
};

// Opens `name`, relative to the descriptor `directory`. If it is opened for writing and still locked, waits
// for up to `lock_patience`. Blocks. Any thread.
Result<OpenFile> open_file(int directory, const std::string& name, port::FileOptions options,
                           Duration lock_patience);

class PosixFile final : public port::File {
 public:
  // Takes ownership of the descriptor.
  PosixFile(OpenFile open, std::string name, Engine& engine, OperationPool& operations);
  ~PosixFile() override;

  void read(uint64_t offset, std::span<uint8_t> into, port::FileCompletion& done) override;
  void write(uint64_t offset, std::span<const Bytes> parts, port::FileCompletion& done) override;
  void sync(port::FileCompletion& done) override;

  Result<size_t> read_now(uint64_t offset, std::span<uint8_t> into) override;
  Status write_now(uint64_t offset, Bytes bytes) override;
  Status sync_now() override;

  Result<uint64_t> size() const override;
  size_t alignment() const override;
  bool direct() const override { return open_.direct; }
  void renamed(const std::string& name) override { name_ = name; }

  // Called by engines when the operation has ended: calls its completion.
  static void finish(Operation& operation);

 private:
  Operation& make(Operation::Kind kind, uint64_t offset, port::FileCompletion& done);
  void start(Operation& operation);
  bool aligned(uint64_t offset, const void* memory, size_t size) const;

  const OpenFile open_;
  std::string name_;  // for messages
  Engine& engine_;
  OperationPool& operations_;
  size_t under_way_ = 0;
};

}  // namespace bop::io

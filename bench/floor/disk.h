// A pre-written file, written round and round: O_DIRECT and O_DSYNC, 4 KiB-aligned, one write under way.
#pragma once

#include <liburing.h>

#include <cstddef>
#include <cstdint>
#include <string>

namespace bench_floor {

// Ends the program where `directory` is no real file system's.
void refuse_tmpfs(const std::string& directory);

class Disk {
 public:
  Disk(const std::string& path, uint64_t size_bytes);
  Disk(const Disk&) = delete;
  Disk& operator=(const Disk&) = delete;
  ~Disk();

  // Readable when the write is over.
  int descriptor() const { return ring_.ring_fd; }
  bool busy() const { return busy_; }

  // Where the next write's bytes are put together; 4 KiB-aligned, of max_write_bytes.
  uint8_t* buffer() { return buffers_[which_]; }
  static constexpr size_t max_write_bytes = 4u << 20;
  static constexpr size_t block_bytes = 4096;

  // Writes the first `size` bytes of buffer(), filled up to whole blocks; buffer() is then another.
  void write(size_t size);
  // True once for each write, when it is on the device.
  bool finished();

 private:
  void pre_write(const std::string& path);

  io_uring ring_;
  int file_ = -1;
  const uint64_t size_;
  uint64_t offset_ = 0;
  size_t written_ = 0;
  bool busy_ = false;
  int which_ = 0;
  uint8_t* buffers_[2];
};

}  // namespace bench_floor

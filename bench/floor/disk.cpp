#include "disk.h"

#include <fcntl.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "sockets.h"

namespace bench_floor {

namespace {

constexpr long tmpfs_magic = 0x01021994;

size_t whole_blocks(size_t size) {
  return (size + Disk::block_bytes - 1) / Disk::block_bytes * Disk::block_bytes;
}

}  // namespace

void refuse_tmpfs(const std::string& directory) {
  struct statfs status;
  if (statfs(directory.c_str(), &status) != 0) die(directory);
  if (status.f_type == tmpfs_magic) die_plainly(directory + ": a tmpfs is no disk");
}

Disk::Disk(const std::string& path, uint64_t size_bytes) : size_(size_bytes) {
  for (uint8_t*& buffer : buffers_) {
    buffer = static_cast<uint8_t*>(std::aligned_alloc(block_bytes, max_write_bytes));
    std::memset(buffer, 0, max_write_bytes);
  }
  pre_write(path);
  const int result = io_uring_queue_init(8, &ring_, IORING_SETUP_COOP_TASKRUN);
  if (result < 0) {
    errno = -result;
    die("io_uring");
  }
}

Disk::~Disk() {
  io_uring_queue_exit(&ring_);
  close(file_);
  for (uint8_t* buffer : buffers_) std::free(buffer);
}

void Disk::pre_write(const std::string& path) {
  file_ = open(path.c_str(), O_RDWR | O_CREAT | O_DIRECT | O_DSYNC | O_CLOEXEC, 0600);
  if (file_ < 0) die(path);
  for (uint64_t at = 0; at < size_; at += max_write_bytes) {
    if (pwrite(file_, buffers_[0], max_write_bytes, static_cast<off_t>(at)) !=
        static_cast<ssize_t>(max_write_bytes)) {
      die(path);
    }
  }
  if (fsync(file_) != 0) die(path);
}

void Disk::write(size_t size) {
  written_ = whole_blocks(size);
  std::memset(buffer() + size, 0, written_ - size);
  if (offset_ + written_ > size_) offset_ = 0;
  io_uring_sqe* sqe = io_uring_get_sqe(&ring_);
  io_uring_prep_write(sqe, file_, buffer(), static_cast<unsigned>(written_), offset_);
  if (io_uring_submit(&ring_) != 1) die("io_uring_submit");
  offset_ += written_;
  busy_ = true;
  which_ = 1 - which_;
}

bool Disk::finished() {
  io_uring_cqe* cqe = nullptr;
  if (io_uring_peek_cqe(&ring_, &cqe) != 0) return false;
  if (cqe->res != static_cast<int>(written_)) die_plainly("a write failed or was short");
  io_uring_cqe_seen(&ring_, cqe);
  busy_ = false;
  return true;
}

}  // namespace bench_floor

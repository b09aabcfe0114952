#include "io/file/uring_engine.h"

#include <liburing.h>
#include <limits.h>

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <cerrno>
#include <string>
#include <system_error>

#include "base/assert.h"
#include "io/file/posix_file.h"

namespace bop::io {

struct UringEngine::Ring {
  explicit Ring(boost::asio::io_context& context) : watch(context) {}
  ~Ring() {
    if (watch.is_open()) watch.release();
    if (open) io_uring_queue_exit(&ring);
  }

  io_uring ring;
  bool open = false;
  unsigned entries = 0;
  boost::asio::posix::stream_descriptor watch;
};

namespace {

std::unexpected<Error> missing(const char* what, int error_number) {
  return fail(
      BOP_E_UNSUPPORTED,
      std::string(what) + ": " + std::error_code(error_number, std::generic_category()).message());
}

// COOP_TASKRUN: a completion does not interrupt the loop's thread, which processes it at its next system
// call. Kernels before 5.19 do not support it; it is only an optimisation.
int open_ring(io_uring& ring, unsigned entries) {
  const int result = io_uring_queue_init(entries, &ring, IORING_SETUP_COOP_TASKRUN);
  if (result != -EINVAL) return result;
  return io_uring_queue_init(entries, &ring, 0);
}

bool knows_operations(io_uring& ring) {
  io_uring_probe* probe = io_uring_get_probe_ring(&ring);
  if (probe == nullptr) return false;
  bool all = true;
  for (int code :
       {IORING_OP_READV, IORING_OP_WRITEV, IORING_OP_READ, IORING_OP_WRITE, IORING_OP_FSYNC}) {
    all = all && io_uring_opcode_supported(probe, code);
  }
  io_uring_free_probe(probe);
  return all;
}

void fill(io_uring_sqe& sqe, Operation& operation) {
  const auto parts = operation.left();
  const auto count = static_cast<unsigned>(std::min<size_t>(parts.size(), IOV_MAX));
  // For a single part the kernel need not read the array.
  const bool single = parts.size() == 1 && parts[0].iov_len <= INT_MAX;
  switch (operation.kind) {
    case Operation::Kind::read:
      if (single) {
        io_uring_prep_read(&sqe, operation.descriptor, parts[0].iov_base,
                           static_cast<unsigned>(parts[0].iov_len), operation.offset);
      } else {
        io_uring_prep_readv(&sqe, operation.descriptor, parts.data(), count, operation.offset);
      }
      break;
    case Operation::Kind::write:
      if (single) {
        io_uring_prep_write(&sqe, operation.descriptor, parts[0].iov_base,
                            static_cast<unsigned>(parts[0].iov_len), operation.offset);
      } else {
        io_uring_prep_writev(&sqe, operation.descriptor, parts.data(), count, operation.offset);
      }
      break;
    case Operation::Kind::sync:
      io_uring_prep_fsync(&sqe, operation.descriptor, IORING_FSYNC_DATASYNC);
      break;
  }
  io_uring_sqe_set_data(&sqe, &operation);
}

}  // namespace

Result<std::unique_ptr<UringEngine>> UringEngine::make(Loop& loop, unsigned entries) {
  auto ring = std::make_unique<Ring>(loop.context());
  const int opened = open_ring(ring->ring, entries);
  if (opened < 0) return missing("io_uring_setup", -opened);
  ring->open = true;
  ring->entries = ring->ring.sq.ring_entries;
  if (!knows_operations(ring->ring)) return missing("io_uring operations", ENOSYS);
  boost::system::error_code error;
  ring->watch.assign(ring->ring.ring_fd, error);
  if (error) return missing("watching io_uring", error.value());
  return std::unique_ptr<UringEngine>(new UringEngine(loop, std::move(ring)));
}

UringEngine::UringEngine(Loop& loop, std::unique_ptr<Ring> ring)
    : Engine(loop), ring_(std::move(ring)) {
  loop_.add_poller(*this);
}

UringEngine::~UringEngine() {
  loop_.remove_poller(*this);
  // Until they complete, the kernel may access the memory of the operations in flight.
  io_uring_submit(&ring_->ring);
  for (; under_way_ > 0; --under_way_) {
    io_uring_cqe* cqe = nullptr;
    while (io_uring_wait_cqe(&ring_->ring, &cqe) == -EINTR) {
    }
    if (cqe == nullptr) break;
    io_uring_cqe_seen(&ring_->ring, cqe);
  }
}

void UringEngine::start(Operation& operation) {
  if (under_way_ == ring_->entries) {
    waiting_.push_back(&operation);
  } else {
    prepare(operation);
  }
}

void UringEngine::prepare(Operation& operation) {
  io_uring_sqe* sqe = io_uring_get_sqe(&ring_->ring);
  BOP_ASSERT(sqe != nullptr);  // under_way_ is below the number of entries
  fill(*sqe, operation);
  ++under_way_;
  submit_at_end_of_turn();
}

void UringEngine::submit_at_end_of_turn() {
  if (submit_planned_) return;
  submit_planned_ = true;
  loop_.at_end_of_turn(port::Phase::submit, [this] { submit(); });
}

void UringEngine::submit() {
  submit_planned_ = false;
  const int result = io_uring_submit(&ring_->ring);
  if (result >= 0 && io_uring_sq_ready(&ring_->ring) == 0) return;
  // The kernel lacks resources for the moment. The operations that it did not take stay in the ring.
  BOP_ASSERT(result >= 0 || result == -EAGAIN || result == -EBUSY || result == -EINTR);
  post([this] { submit_at_end_of_turn(); });
}

void UringEngine::poll() {
  io_uring_cqe* cqe = nullptr;
  while (io_uring_peek_cqe(&ring_->ring, &cqe) == 0) {
    auto& operation = *static_cast<Operation*>(io_uring_cqe_get_data(cqe));
    const int result = cqe->res;
    io_uring_cqe_seen(&ring_->ring, cqe);
    on_completion(operation, result);
  }
}

void UringEngine::on_completion(Operation& operation, int result) {
  --under_way_;
  if (!operation.note(result)) {
    prepare(operation);
    return;
  }
  if (!waiting_.empty()) {
    Operation* next = waiting_.front();
    waiting_.pop_front();
    prepare(*next);
  }
  PosixFile::finish(operation);
}

}  // namespace bop::io

// The backend on io_uring: one system call submits all operations of a turn, and none is needed to find
// those that completed.
//
// The ring's descriptor is in the loop's epoll set, edge-triggered and without a handler: a completion
// ends epoll_wait, and the loop's poll then finds it in the ring's shared memory. This relies on Asio
// adding a descriptor to its epoll set as soon as it is assigned.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>

#include "base/result.h"
#include "io/file/operation.h"
#include "io/loop.h"

namespace bop::io {

class UringEngine final : public Engine, private Poller {
 public:
  // Fails with the reason where io_uring is missing, forbidden or too old.
  static Result<std::unique_ptr<UringEngine>> make(Loop& loop, unsigned entries);
  // Waits for the operations in flight; their completions are not called any more.
  ~UringEngine() override;

  const char* name() const override { return "uring"; }
  void start(Operation& operation) override;

 private:
  struct Ring;

  UringEngine(Loop& loop, std::unique_ptr<Ring> ring);
  void poll() override;
  void prepare(Operation& operation);
  void submit_at_end_of_turn();
  void submit();
  void on_completion(Operation& operation, int result);

  const std::unique_ptr<Ring> ring_;
  std::deque<Operation*> waiting_;  // do not fit the ring
  unsigned under_way_ = 0;  // operations in the ring that have not completed; at most its entries
  bool submit_planned_ = false;
};

}  // namespace bop::io

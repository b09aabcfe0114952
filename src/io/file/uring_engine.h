// The backend on io_uring: one system call submits all that a turn started, none is needed to see
// what completed.
//
// The ring's descriptor lies in the loop's epoll set, edge-triggered and with no handler: a completion
// ends epoll_wait, and the loop's poll then finds it in the ring's shared memory. That Asio adds a
// descriptor to the set as soon as it is assigned is the one thing taken for granted about it.
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
  // Waits for the operations under way; nobody hears of them any more.
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
  std::deque<Operation*> waiting_;  // beyond what the ring holds
  unsigned under_way_ = 0;          // in the ring and not completed; at most its entries
  bool submit_planned_ = false;
};

}  // namespace bop::io

// Counts the open connections of an acceptor, on all loops. Any thread.
#pragma once

#include <atomic>
#include <cstddef>

namespace bop::net {

class StreamCount {
 public:
  // False: there are `limit` connections already.
  bool enter(size_t limit) {
    if (count_.fetch_add(1, std::memory_order_relaxed) < limit) return true;
    leave();
    return false;
  }
  void leave() { count_.fetch_sub(1, std::memory_order_relaxed); }
  size_t value() const { return count_.load(std::memory_order_relaxed); }

 private:
  std::atomic<size_t> count_ = 0;
};

}  // namespace bop::net

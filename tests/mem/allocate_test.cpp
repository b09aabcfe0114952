#include "mem/allocate.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <thread>
#include <vector>

namespace bop::mem {
namespace {

constexpr size_t large = size_t{8}
                         << 20;  // snmalloc's threads pass such pieces on to each other at once
constexpr size_t small = size_t{12} << 10;
constexpr uint8_t mark = 0x5a;

void free_large_pieces() {
  std::vector<void*> pieces(8);
  for (void*& piece : pieces) {
    piece = allocate(large);
    std::memset(piece, 1, large);
  }
  for (void* piece : pieces) release(piece);
}

// Runs a task on a thread, which lives on afterwards: another thread would take over its memory.
class Threads {
 public:
  template <class Task>
  void run(Task task) {
    done_ = false;
    threads_.emplace_back([this, task] {
      task();
      done_ = true;
      done_.notify_one();
      end_.wait(false);
    });
    done_.wait(false);
  }
  ~Threads() {
    end_ = true;
    end_.notify_all();
    for (std::thread& thread : threads_) thread.join();
  }

 private:
  std::vector<std::thread> threads_;
  std::atomic<bool> done_ = false, end_ = false;
};

// The first memory of a thread is cut from pieces that another thread freed whole.
TEST(Allocator, gives_back_no_memory_that_a_new_thread_uses) {
  free_large_pieces();
  std::vector<uint8_t*> in_use;
  Threads threads;
  for (int i = 0; i < 40; ++i) {
    threads.run([&] {
      for (int k = 0; k < 80; ++k) {
        in_use.push_back(static_cast<uint8_t*>(allocate(small)));
        std::memset(in_use.back(), mark, small);
      }
    });
  }
  for (int period = 0; period < 4; ++period) release_unused();
  size_t lost = 0;
  for (const uint8_t* bytes : in_use)
    lost += !std::all_of(bytes, bytes + small, [](uint8_t byte) { return byte == mark; });
  EXPECT_EQ(lost, 0u) << "of " << in_use.size();
  for (uint8_t* bytes : in_use) release(bytes);
}

}  // namespace
}  // namespace bop::mem

// The struct behind bop_queue, and Completions: where the calls of a handle complete.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "bop/bop.h"
#include "io/event.h"

namespace bop::capi {

// A completion whose body and detail are in Batch::bytes.
struct Queued {
  bop_completion completion;  // its pointers are set when it is drained
  size_t body_at = 0;         // offset in Batch::bytes
  size_t detail_at = 0;       // the same, of text that ends in NUL
};

// Completions with their bytes. A queue has two batches and swaps them, so that the memory of a drained batch is
// reused.
struct Batch {
  std::vector<Queued> items;
  std::vector<uint8_t> bytes;
  size_t next = 0;  // the first item that is not drained yet

  void add(const bop_completion& completion);
  void clear();
  bool exhausted() const { return next == items.size(); }
};

}  // namespace bop::capi

struct bop_queue {
  bop_queue(uint32_t capacity, bop::io::Event event)
      : capacity_(capacity), event_(std::move(event)) {}

  // Reserves capacity for one completion. False: the queue is full. Any thread.
  bool reserve();
  void cancel_reservation() { taken_.fetch_sub(1, std::memory_order_relaxed); }
  // Adds the completion of a call that has a reservation, and copies its bytes. Any thread.
  void push(const bop_completion& completion);

  // One thread at a time.
  size_t drain(bop_completion* completions, size_t capacity);
  bool wait(bop::Duration limit) const { return event_.wait(limit); }
  int handle() const { return event_.handle(); }

 private:
  const uint32_t capacity_;
  const bop::io::Event event_;
  std::atomic<uint32_t> taken_ = 0;  // reservations, and completions that are not drained yet

  std::mutex mutex_;  // of filling_ and signalled_
  bop::capi::Batch filling_;
  bool signalled_ = false;     // event_ is set
  bop::capi::Batch draining_;  // of the thread that drains
};

namespace bop::capi {

// Where the calls of a handle complete: in a queue or by a callback.
class Completions {
 public:
  // INVALID_ARGUMENT unless exactly one of queue and callback is given.
  static Result<Completions> of(bop_queue* queue, bop_callback callback, void* context);

  // Every call reserves, and later either completes or cancels. False: the queue is full. Any thread.
  bool reserve() const { return queue_ == nullptr || queue_->reserve(); }
  void cancel_reservation() const {
    if (queue_ != nullptr) queue_->cancel_reservation();
  }
  void complete(const bop_completion& completion) const {
    if (queue_ != nullptr) {
      queue_->push(completion);
    } else {
      callback_(context_, &completion);
    }
  }

 private:
  Completions(bop_queue* queue, bop_callback callback, void* context)
      : queue_(queue), callback_(callback), context_(context) {}

  bop_queue* queue_;  // nullptr: callback_ is set
  bop_callback callback_;
  void* context_;
};

}  // namespace bop::capi

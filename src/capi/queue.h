// What stands behind bop_queue, and the choice between a queue and a callback.
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

// A completion whose bytes lie in the batch it is of.
struct Queued {
  bop_completion completion;
  size_t body_at = 0;
  size_t detail_at = 0;
};

// Completions and their bytes: two of them change places, so that a drained one is filled again
// without allocating.
struct Batch {
  std::vector<Queued> items;
  std::vector<uint8_t> bytes;
  size_t next = 0;  // the first that was not given out

  void add(const bop_completion& completion);
  void clear();
  bool exhausted() const { return next == items.size(); }
};

}  // namespace bop::capi

struct bop_queue {
  bop_queue(uint32_t capacity, bop::io::Event event)
      : capacity_(capacity), event_(std::move(event)) {}

  // Makes room for one completion; false: there is none. Any thread.
  bool reserve();
  void cancel_reservation() { taken_.fetch_sub(1, std::memory_order_relaxed); }
  // Of a call that reserved; its bytes are copied. Any thread.
  void push(const bop_completion& completion);

  size_t drain(bop_completion* completions, size_t capacity);
  bool wait(bop::Duration limit) const { return event_.wait(limit); }
  int handle() const { return event_.handle(); }

 private:
  const uint32_t capacity_;
  const bop::io::Event event_;
  std::atomic<uint32_t> taken_ = 0;  // under way, queued or not yet drained

  std::mutex mutex_;  // of what follows but draining_, which belongs to who drains
  bop::capi::Batch filling_;
  bool signalled_ = false;
  bop::capi::Batch draining_;
};

namespace bop::capi {

// Where a handle's calls complete.
class Completions {
 public:
  // One of queue and callback must be there: INVALID_ARGUMENT.
  static Result<Completions> of(bop_queue* queue, bop_callback callback, void* context);

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

  bop_queue* queue_;
  bop_callback callback_;
  void* context_;
};

}  // namespace bop::capi

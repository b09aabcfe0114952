#include "capi/queue.h"

#include <algorithm>
#include <cstring>

#include "base/assert.h"
#include "capi/shell.h"

namespace bop::capi {
namespace {

constexpr uint32_t default_capacity = 65536;
constexpr size_t kept_bytes = 1u << 20;  // a drained batch keeps at most this much memory

}  // namespace

void Batch::add(const bop_completion& completion) {
  Queued queued{completion, bytes.size(), 0};
  const bop_bytes& body = completion.body;
  if (body.size > 0) bytes.insert(bytes.end(), body.data, body.data + body.size);
  queued.detail_at = bytes.size();
  const char* detail = completion.detail == nullptr ? "" : completion.detail;
  bytes.insert(bytes.end(), detail, detail + std::strlen(detail) + 1);
  items.push_back(queued);
}

void Batch::clear() {
  items.clear();
  bytes.clear();
  next = 0;
  if (bytes.capacity() > kept_bytes) std::vector<uint8_t>().swap(bytes);
}

Result<Completions> Completions::of(bop_queue* queue, bop_callback callback, void* context) {
  if ((queue == nullptr) == (callback == nullptr)) {
    return fail(BOP_E_INVALID_ARGUMENT, "exactly one of queue and callback must be given");
  }
  return Completions(queue, callback, context);
}

}  // namespace bop::capi

bool bop_queue::reserve() {
  if (taken_.fetch_add(1, std::memory_order_relaxed) < capacity_) return true;
  cancel_reservation();
  return false;
}

void bop_queue::push(const bop_completion& completion) {
  const std::lock_guard lock(mutex_);
  filling_.add(completion);
  if (signalled_) return;
  signalled_ = true;
  event_.set();
}

size_t bop_queue::drain(bop_completion* completions, size_t capacity) {
  if (draining_.exhausted()) {
    draining_.clear();
    const std::lock_guard lock(mutex_);
    std::swap(draining_.items, filling_.items);
    std::swap(draining_.bytes, filling_.bytes);
  }
  const size_t count = std::min(capacity, draining_.items.size() - draining_.next);
  for (size_t i = 0; i < count; ++i) {
    const bop::capi::Queued& queued = draining_.items[draining_.next++];
    completions[i] = queued.completion;
    completions[i].body.data = draining_.bytes.data() + queued.body_at;
    completions[i].detail =
        reinterpret_cast<const char*>(draining_.bytes.data() + queued.detail_at);
  }
  taken_.fetch_sub(static_cast<uint32_t>(count), std::memory_order_relaxed);
  if (draining_.exhausted()) {
    const std::lock_guard lock(mutex_);
    if (filling_.items.empty() && signalled_) {
      signalled_ = false;
      event_.clear();
    }
  }
  return count;
}

int32_t bop_queue_create(uint32_t capacity, bop_queue** queue) {
  if (queue == nullptr) return BOP_E_INVALID_ARGUMENT;
  return bop::capi::guarded([&]() -> int32_t {
    bop::Result<bop::io::Event> event = bop::io::Event::make();
    if (!event) return event.error().code;
    *queue =
        new bop_queue(capacity == 0 ? bop::capi::default_capacity : capacity, std::move(*event));
    return BOP_OK;
  });
}

void bop_queue_destroy(bop_queue* queue) { delete queue; }

intptr_t bop_queue_handle(const bop_queue* queue) {
  return queue == nullptr ? -1 : queue->handle();
}

size_t bop_queue_drain(bop_queue* queue, bop_completion* completions, size_t capacity) {
  if (queue == nullptr || completions == nullptr) return 0;
  return queue->drain(completions, capacity);
}

int32_t bop_queue_wait(bop_queue* queue, int64_t timeout_ms) {
  if (queue == nullptr) return BOP_E_INVALID_ARGUMENT;
  const int64_t most = INT64_MAX / bop::milliseconds;
  const bop::Duration limit = timeout_ms < 0 ? -1 : std::min(timeout_ms, most) * bop::milliseconds;
  // read_clock() + limit must not overflow.
  return queue->wait(std::min(limit, bop::never / 2)) ? BOP_OK : BOP_E_TIMEOUT;
}

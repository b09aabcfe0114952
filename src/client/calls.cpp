#include "client/calls.h"

#include <algorithm>

#include "base/assert.h"

namespace bop::client {

Calls::Calls(Instant now) : ticked_(now / tick) { heads_.fill(none); }

uint64_t Calls::correlation_of(const Call& call) const {
  const auto slot = static_cast<uint64_t>(&call - slots_.data());
  return uint64_t{call.generation} << 32 | slot;
}

uint64_t Calls::add(Call call) {
  uint32_t slot = free_;
  if (slot == none) {
    slot = static_cast<uint32_t>(slots_.size());
    slots_.emplace_back();
  } else {
    free_ = slots_[slot].next;
  }
  BOP_ASSERT(slots_[slot].state == Call::State::free);
  BOP_ASSERT(call.state != Call::State::free);
  call.generation = slots_[slot].generation;
  slots_[slot] = std::move(call);
  link(slot);
  ++count_;
  return correlation_of(slots_[slot]);
}

Call* Calls::find(uint64_t correlation) {
  const uint64_t slot = correlation & UINT32_MAX;
  if (slot >= slots_.size()) return nullptr;
  Call& call = slots_[slot];
  if (call.state == Call::State::free || call.generation != correlation >> 32) return nullptr;
  return &call;
}

void Calls::remove(uint64_t correlation) {
  Call* call = find(correlation);
  BOP_ASSERT(call != nullptr);
  const auto slot = static_cast<uint32_t>(correlation & UINT32_MAX);
  unlink(slot);
  const uint32_t generation = call->generation + 1;
  *call = Call{};
  call->generation = generation;
  call->next = free_;
  free_ = slot;
  --count_;
}

void Calls::link(uint32_t slot) {
  Call& call = slots_[slot];
  // A deadline that has passed already expires at the next tick.
  const int64_t due = std::max(call.deadline / tick + 1, ticked_ + 1);
  call.bucket = static_cast<uint32_t>(due % static_cast<int64_t>(buckets));
  call.previous = none;
  call.next = heads_[call.bucket];
  if (call.next != none) slots_[call.next].previous = slot;
  heads_[call.bucket] = slot;
}

void Calls::unlink(uint32_t slot) {
  const Call& call = slots_[slot];
  if (call.next != none) slots_[call.next].previous = call.previous;
  if (call.previous != none) {
    slots_[call.previous].next = call.next;
  } else {
    heads_[call.bucket] = call.next;
  }
}

void Calls::expired(Instant now, std::vector<uint64_t>& out) {
  const int64_t target = now / tick;
  // After a long pause every bucket is checked once.
  const int64_t first = std::max(ticked_ + 1, target - static_cast<int64_t>(buckets) + 1);
  for (int64_t t = first; t <= target; ++t) {
    for (uint32_t slot = heads_[static_cast<size_t>(t) % buckets]; slot != none;
         slot = slots_[slot].next) {
      if (slots_[slot].deadline <= now) out.push_back(correlation_of(slots_[slot]));
    }
  }
  ticked_ = std::max(ticked_, target);
}

void Calls::all(std::vector<uint64_t>& out) const {
  for (const Call& call : slots_) {
    if (call.state != Call::State::free) out.push_back(correlation_of(call));
  }
}

}  // namespace bop::client

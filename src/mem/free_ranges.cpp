#include "mem/free_ranges.h"

#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <utility>

namespace bop::mem {

namespace {

void give_back(void* memory, size_t size) {
  const int before = errno;
  madvise(memory, size, MADV_DONTNEED);
  errno = before;
}

template <class Use>
void each_granule(void* memory, size_t size, Use use) {
  const uint64_t first = reinterpret_cast<uintptr_t>(memory) / FreeRanges::granule_bytes;
  for (uint64_t i = 0; i < size / FreeRanges::granule_bytes; ++i) use(first + i);
}

void* address_of(uint64_t granule) {
  return reinterpret_cast<void*>(granule * FreeRanges::granule_bytes);
}

bool is_whole_granules(void* memory, size_t size) {
  return (reinterpret_cast<uintptr_t>(memory) | size) % FreeRanges::granule_bytes == 0;
}

}  // namespace

void FreeRanges::add(void* memory, size_t size) {
  if (!is_whole_granules(memory, size)) return give_back(memory, size);
  const std::lock_guard lock(mutex_);
  each_granule(memory, size, [this](uint64_t granule) {
    if (!add_granule(granule)) give_back(address_of(granule), granule_bytes);
  });
}

void FreeRanges::remove(void* memory, size_t size) {
  const auto begin = reinterpret_cast<uintptr_t>(memory);
  const uintptr_t end = begin + size;
  const std::lock_guard lock(mutex_);
  if (count_ == 0) return;
  for (uint64_t granule = begin / granule_bytes; granule * granule_bytes < end; ++granule) {
    if (!remove_granule(granule)) continue;
    const uintptr_t first = granule * granule_bytes;
    const uintptr_t last = first + granule_bytes;
    if (first < begin) give_back(reinterpret_cast<void*>(first), begin - first);
    if (end < last) give_back(reinterpret_cast<void*>(end), last - end);
  }
}

size_t FreeRanges::release_unused(size_t most_bytes) {
  {
    const std::lock_guard lock(mutex_);
    ++period_;
  }
  size_t released = 0;
  for (size_t passed = 0; passed < places && released < most_bytes;) {
    // Not for the whole table: an allocation waits no longer than for one granule.
    const std::lock_guard lock(mutex_);
    if (count_ == 0) break;
    const Place& place = places_[cursor_];
    if (place.granule != 0 && place.period + 1 < period_) {
      give_back(address_of(place.granule), granule_bytes);
      remove_at(cursor_);  // another one may move here
      released += granule_bytes;
    } else {
      cursor_ = (cursor_ + 1) % places;
      ++passed;
    }
  }
  return released;
}

size_t FreeRanges::place_of(uint64_t granule) {
  return (granule * 0x9e37'79b9'7f4a'7c15u >> 32) % places;
}

bool FreeRanges::add_granule(uint64_t granule) {
  if (count_ == max_granules) return false;
  size_t at = place_of(granule);
  while (places_[at].granule != 0) at = (at + 1) % places;
  places_[at] = {granule, period_};
  ++count_;
  return true;
}

bool FreeRanges::remove_granule(uint64_t granule) {
  for (size_t at = place_of(granule); places_[at].granule != 0; at = (at + 1) % places) {
    if (places_[at].granule != granule) continue;
    remove_at(at);
    return true;
  }
  return false;
}

// Moves those behind it up, so that no search ends at the place that is free now.
void FreeRanges::remove_at(size_t at) {
  --count_;
  for (size_t next = at;;) {
    places_[at] = {};
    for (;;) {
      next = (next + 1) % places;
      if (places_[next].granule == 0) return;
      const size_t home = place_of(places_[next].granule);
      const bool stays = at <= next ? at < home && home <= next : at < home || home <= next;
      if (!stays) break;
    }
    places_[at] = places_[next];
    at = next;
  }
}

}  // namespace bop::mem

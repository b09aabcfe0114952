#include "mem/allocate.h"

#include "base/assert.h"
#include "mem/choice.h"

#if BOP_SNMALLOC
#include <malloc.h>
#include <sys/mman.h>
#include <sys/resource.h>
#endif

namespace bop::mem {

#if BOP_SNMALLOC

namespace choice {

namespace {

// What snmalloc reserves for its page map: an entry for every chunk of the address space, and five times
// that when the map's address is randomized. heap_bytes is for what a large process allocates.
constexpr size_t page_map_bytes =
    snmalloc::FlatPagemap<snmalloc::MIN_CHUNK_BITS, snmalloc::Config::PagemapEntry,
                          snmalloc::DefaultPal, false>::required_size() *
    (snmalloc::mitigations(snmalloc::random_pagemap) ? 5 : 1);
constexpr size_t heap_bytes = size_t{16} << 30;

bool address_space_suffices() {
  void* space = snmalloc::DefaultPal::reserve(page_map_bytes + heap_bytes);
  if (space == nullptr) return false;
  munmap(space, page_map_bytes + heap_bytes);
  return true;
}

// An arena of glibc reserves 64 MiB of address space; by default there can be one for each thread. A limit (ulimit -v)
// counts what is reserved; strict overcommit counts only what is used of it.
int system_arenas() {
  rlimit limit{};
  const bool limited = getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY;
  return limited ? 1 : 2;
}

}  // namespace

constinit std::atomic<Allocator> chosen{Allocator::undecided};
constinit FreeRanges free_ranges;

Allocator decide() {
  const Allocator found = address_space_suffices() ? Allocator::snmalloc : Allocator::system;
  Allocator before = Allocator::undecided;
  if (!chosen.compare_exchange_strong(before, found)) return before;  // another thread was first
#ifdef __GLIBC__
  if (found == Allocator::system) mallopt(M_ARENA_MAX, system_arenas());
#endif
  return found;
}

}  // namespace choice

bool address_space_is_short() { return !choice::on_snmalloc(); }

void release_thread_cache() {
  if (!choice::on_snmalloc()) return;
  release(allocate(1));  // a thread without an allocator gets one
  snmalloc::ThreadAlloc::get().flush();
}

bool release_unused() {
  constexpr size_t most_bytes = size_t{256} << 20;
  return choice::on_snmalloc() && choice::free_ranges.release_unused(most_bytes) >= most_bytes;
}

#else

void release_thread_cache() {}
bool release_unused() { return false; }

bool address_space_is_short() { return false; }

#endif

void* allocate(size_t size) {
  void* memory = choice::allocate(size);
  BOP_ASSERT(memory != nullptr);
  return memory;
}

void* allocate_aligned(size_t size, size_t alignment) {
  void* memory = choice::allocate_aligned(size, alignment);
  BOP_ASSERT(memory != nullptr);
  return memory;
}

void release(void* memory) { choice::release(memory); }

}  // namespace bop::mem

// The ranges of address space that snmalloc does not use now but whose pages are still resident. Giving pages back at
// once costs a page fault for each of them at their next use: with values of 256 KiB, 50 faults a write. So a range
// keeps its pages until it was unused for a whole period between two calls of release_unused().
//
// Ranges are counted in granules of 2 MiB, the size in which snmalloc's threads give memory back. What is smaller, or
// does not fit into the table, is given back at once. A thread may take less than a granule: its first memory comes in
// pieces of 16 KiB to 1 MiB, cut from a free granule.
//
// Invariant: no byte of a granule in the table is in use.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <mutex>

namespace bop::mem {

class FreeRanges {
 public:
  static constexpr size_t granule_bytes = size_t{2} << 20;

  constexpr FreeRanges() = default;
  FreeRanges(const FreeRanges&) = delete;
  FreeRanges& operator=(const FreeRanges&) = delete;

  // Any thread, on page boundaries. The memory keeps its addresses; its contents are undefined from add() on.
  void add(void* memory, size_t size);
  void remove(void* memory,
              size_t size);  // of a granule that is used in part, the rest is given back

  // Gives back the pages of granules that were added before the previous call, at most `most_bytes`. The bytes given
  // back. Any thread; an allocation of a granule waits while one granule's pages are given back.
  size_t release_unused(size_t most_bytes);

 private:
  // Open addressing with linear probing. A granule is its address / granule_bytes; 0: the place is free.
  struct Place {
    uint64_t granule = 0;
    uint64_t period = 0;  // in which it was added
  };
  static constexpr size_t places = 8192;
  static constexpr size_t max_granules = places / 2;  // 8 GiB

  bool add_granule(uint64_t granule);
  bool remove_granule(uint64_t granule);
  void remove_at(size_t at);
  static size_t place_of(uint64_t granule);

  std::mutex mutex_;
  uint64_t period_ = 1;
  size_t count_ = 0;
  size_t cursor_ = 0;  // of release_unused()
  std::array<Place, places> places_{};
};

}  // namespace bop::mem

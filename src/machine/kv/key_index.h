// The index of a memtable's records by key: a hash table of 256 parts that grow one at a time, so that no
// insertion blocks the shard for long. (A B-tree of 100,000 16-byte keys cost four times as much, because
// of cache misses.)
#pragma once

#include <array>
#include <cstdint>
#include <memory>

#include "machine/kv/record.h"
#include "mem/region.h"

namespace bop::machine::kv {

class KeyIndex {
 public:
  struct Slot {
    uint64_t hash = 0;
    Record* record = nullptr;  // nullptr: free
  };

  explicit KeyIndex(mem::Region& region) : region_(region) {}

  // The slot of the key; nullptr: there is none.
  Slot* find(Bytes key, uint64_t hash) const {
    const Part& part = parts_[hash >> 56];
    if (part.slots == nullptr) return nullptr;
    for (uint64_t at = hash & part.mask;; at = (at + 1) & part.mask) {
      Slot& slot = part.slots[at];
      if (slot.record == nullptr) return nullptr;
      if (slot.hash == hash && equal_keys(slot.record->key(), key)) return &slot;
    }
  }
  // Prefetch what find() and then the user of the record will read, for a caller that knows its next keys.
  // Slot and record are a cache miss each, which was most of the cost of a put. Always inlined, because g++
  // treats a function that only prefetches as one without effect and removes the calls.
  [[gnu::always_inline]] void prefetch_slot(uint64_t hash) const {
    const Part& part = parts_[hash >> 56];
    if (part.slots != nullptr) __builtin_prefetch(&part.slots[hash & part.mask]);
  }
  [[gnu::always_inline]] void prefetch_record(uint64_t hash) const {
    const Part& part = parts_[hash >> 56];
    if (part.slots == nullptr) return;
    const Slot& slot = part.slots[hash & part.mask];
    if (slot.hash != hash || slot.record == nullptr) return;
    prefetch(*slot.record);
  }
  // The key must not be in the index.
  void insert(uint64_t hash, Record* record) {
    Part& part = parts_[hash >> 56];
    if (part.slots == nullptr || part.used * 4 >= (part.mask + 1) * 3) grow(part);
    place(part, {hash, record});
    ++part.used;
  }

 private:
  struct Part {
    Slot* slots = nullptr;  // mask + 1 slots; nullptr: none yet
    uint32_t mask = 0;      // number of slots, a power of two, minus 1
    uint32_t used = 0;      // slots in use, at most three quarters
  };

  static void place(Part& part, const Slot& slot) {
    uint64_t at = slot.hash & part.mask;
    while (part.slots[at].record != nullptr) at = (at + 1) & part.mask;
    part.slots[at] = slot;
  }
  // The memory of the old slots is not reused; all old slots together are no larger than the new ones.
  void grow(Part& part) {
    Part larger;
    larger.mask = part.slots == nullptr ? 7 : part.mask * 2 + 1;
    larger.used = part.used;
    const size_t count = size_t{larger.mask} + 1;
    larger.slots = static_cast<Slot*>(region_.allocate(count * sizeof(Slot)));
    std::uninitialized_value_construct_n(larger.slots, count);
    if (part.slots != nullptr)
      for (uint32_t at = 0; at <= part.mask; ++at)
        if (part.slots[at].record != nullptr) place(larger, part.slots[at]);
    part = larger;
  }

  mem::Region& region_;
  std::array<Part, 256> parts_;
};

}  // namespace bop::machine::kv

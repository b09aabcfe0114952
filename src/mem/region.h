// Region: memory that is allocated in pieces and freed as a whole.
//
// Once it is large, its blocks are huge pages where the kernel has them: with small pages, random lookups
// in a large memtable spend more time on page table walks than on the data.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace bop::mem {

class Region {
 public:
  Region() = default;
  ~Region();
  Region(const Region&) = delete;
  Region& operator=(const Region&) = delete;

  void* allocate(size_t size);  // aligned to 16; valid until the region is destroyed

 private:
  void* add_block(size_t size);

  std::vector<void*> blocks_;
  uint8_t* free_ = nullptr;  // the unused end of the last small block: left_ bytes
  size_t left_ = 0;
  size_t next_block_ = 0;
};

}  // namespace bop::mem

// Region: memory given out piece by piece and released as a whole.
//
// A large one lies in huge pages where the kernel has them: what is looked up in it at random else pays
// for the processor's search of the page table more than for the bytes.
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

  void* allocate(size_t size);  // aligned to 16; until the region's end

 private:
  void* add_block(size_t size);

  std::vector<void*> blocks_;
  uint8_t* free_ = nullptr;  // of the last block
  size_t left_ = 0;
  size_t next_block_ = 0;
};

}  // namespace bop::mem

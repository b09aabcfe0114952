#include "mem/free_ranges.h"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <cstring>
#include <map>
#include <vector>

#include "base/random.h"

namespace bop::mem {
namespace {

constexpr size_t granule = FreeRanges::granule_bytes;
constexpr size_t all = SIZE_MAX;

// Touched memory on a granule's boundary.
class Memory {
 public:
  explicit Memory(size_t granules) : size_((granules + 1) * granule) {
    void* mapped = mmap(nullptr, size_, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (mapped == MAP_FAILED) std::abort();
    mapped_ = static_cast<uint8_t*>(mapped);
    const auto address = reinterpret_cast<uintptr_t>(mapped);
    first_ = mapped_ + (granule - address % granule) % granule;
  }
  ~Memory() { munmap(mapped_, size_); }
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;

  uint8_t* at(size_t i) { return first_ + i * granule; }
  void touch(size_t i) { at(i)[0] = 1; }
  // What is given back reads as zero.
  bool resident(size_t i) { return at(i)[0] == 1; }

 private:
  const size_t size_;
  uint8_t* mapped_;
  uint8_t* first_;
};

TEST(FreeRanges, give_back_what_was_unused_for_a_whole_period) {
  static FreeRanges ranges;
  Memory memory(2);
  memory.touch(0);
  ranges.add(memory.at(0), granule);
  EXPECT_EQ(ranges.release_unused(all), 0u);
  memory.touch(1);
  ranges.add(memory.at(1), granule);
  EXPECT_EQ(ranges.release_unused(all), granule);
  EXPECT_FALSE(memory.resident(0));
  EXPECT_TRUE(memory.resident(1));
  EXPECT_EQ(ranges.release_unused(all), granule);
  EXPECT_FALSE(memory.resident(1));
  EXPECT_EQ(ranges.release_unused(all), 0u);
}

TEST(FreeRanges, never_give_back_what_is_in_use_again) {
  static FreeRanges ranges;
  Memory memory(4);
  for (size_t i = 0; i < 4; ++i) memory.touch(i);
  ranges.add(memory.at(0), 4 * granule);
  ranges.release_unused(all);
  ranges.remove(memory.at(1), 2 * granule);
  EXPECT_EQ(ranges.release_unused(all), 2 * granule);
  EXPECT_FALSE(memory.resident(0));
  EXPECT_TRUE(memory.resident(1));
  EXPECT_TRUE(memory.resident(2));
  EXPECT_FALSE(memory.resident(3));
}

TEST(FreeRanges, never_give_back_a_part_of_a_granule_that_is_in_use) {
  static FreeRanges ranges;
  Memory memory(3);
  constexpr size_t part = 16 << 10;
  for (size_t i = 0; i < 3; ++i) {
    for (size_t at = 0; at < granule; at += part) memory.at(i)[at] = 1;
  }
  ranges.add(memory.at(0), 3 * granule);
  ranges.remove(memory.at(0) + part, part);
  ranges.remove(memory.at(1) + granule - part, 2 * part);  // in two granules
  for (int period = 0; period < 3; ++period) EXPECT_EQ(ranges.release_unused(all), 0u);
  for (size_t at = 0; at < 3 * granule; at += part) {
    const bool in_use = at == part || at == 2 * granule - part || at == 2 * granule;
    EXPECT_EQ(memory.at(0)[at], in_use ? 1 : 0) << at / part;
  }
  ranges.remove(memory.at(0) + 2 * part,
                part);  // the rest of a granule is not in the table any more
}

TEST(FreeRanges, give_back_no_more_than_asked_for_and_the_rest_the_next_time) {
  static FreeRanges ranges;
  Memory memory(8);
  ranges.add(memory.at(0), 8 * granule);
  ranges.release_unused(all);
  EXPECT_EQ(ranges.release_unused(3 * granule), 3 * granule);
  EXPECT_EQ(ranges.release_unused(3 * granule), 3 * granule);
  EXPECT_EQ(ranges.release_unused(3 * granule), 2 * granule);
}

TEST(FreeRanges, give_back_small_ranges_at_once) {
  static FreeRanges ranges;
  Memory memory(1);
  memory.touch(0);
  ranges.add(memory.at(0), granule / 2);
  EXPECT_FALSE(memory.resident(0));
  ranges.remove(memory.at(0), granule / 2);
}

TEST(FreeRanges, give_back_at_once_what_does_not_fit_into_their_table) {
  static FreeRanges ranges;
  Memory memory(4097);
  for (size_t i = 0; i < 4097; ++i) memory.touch(i);
  ranges.add(memory.at(0), 4097 * granule);
  EXPECT_TRUE(memory.resident(4095));
  EXPECT_FALSE(memory.resident(4096));
  ranges.release_unused(all);
  EXPECT_EQ(ranges.release_unused(all), 4096 * granule);
}

TEST(FreeRanges, agree_with_a_model) {
  static FreeRanges ranges;
  constexpr size_t count = 3000;
  Memory memory(count);
  Random random(1);
  std::map<size_t, uint64_t> model;  // the period in which a granule was added
  uint64_t period = 1;
  for (int step = 0; step < 200'000; ++step) {
    const size_t i = random.below(count);
    if (random.chance(1, 500)) {
      ++period;
      size_t expected = 0;
      for (auto it = model.begin(); it != model.end();) {
        if (it->second + 1 < period) {
          ++expected;
          ASSERT_TRUE(memory.resident(it->first));
          it = model.erase(it);
        } else {
          ++it;
        }
      }
      ASSERT_EQ(ranges.release_unused(all), expected * granule);
    } else if (model.contains(i)) {
      ASSERT_TRUE(memory.resident(i));
      ranges.remove(memory.at(i), granule);
      model.erase(i);
    } else {
      memory.touch(i);
      ranges.add(memory.at(i), granule);
      model[i] = period;
    }
  }
}

}  // namespace
}  // namespace bop::mem

// Built once for each bug of machine/kv/seeded_bugs.h: the walk must see it.
#include <gtest/gtest.h>

#include <stdexcept>

#include "base/assert.h"
#include "kv_walk.h"
#include "machine/kv/store_memory.h"

namespace bop::machine::kv::test {
namespace {

std::string walk(uint64_t seed) {
  Settings settings;
  settings.memory_bytes = 64 << 10;
  settings.boundary = 16;
  const auto image = std::make_shared<StoreImage>();
  Replica replica(
      [image](const StoreOptions&) -> Result<std::unique_ptr<Store>> {
        return open_memory_store(image);
      },
      settings);
  Walk walk({.seed = seed}, replica, [&] { image->lose_power(); });
  try {
    return walk.run();
  } catch (const std::runtime_error& error) {
    return error.what();
  }
}

TEST(KvSeededBug, is_seen) {
  set_assert_handler([](const char* file, int line, const char* text) {
    throw std::runtime_error(std::string(file) + ":" + std::to_string(line) + ": " + text);
  });
  std::string seen;
  uint64_t seed = 0;
  while (seen.empty() && seed < 300) seen = walk(++seed);
  EXPECT_NE(seen, "") << "after " << seed << " seeds";
  RecordProperty("seen", seen);
}

}  // namespace
}  // namespace bop::machine::kv::test

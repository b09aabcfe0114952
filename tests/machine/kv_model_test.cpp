// The replies are those of one map, whatever the workers' timing, flushes, crashes and restarts.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "kv_walk.h"
#include "machine/kv/store_mdbx.h"
#include "machine/kv/store_memory.h"
#include "temporary_directory.h"

namespace bop::machine::kv::test {
namespace {

Settings small_settings() {
  Settings settings;
  settings.memory_bytes = 64 << 10;
  settings.hash_interval = 16;
  settings.freeze_log_bytes = 40 << 10;
  settings.map_bytes = 64 << 20;
  return settings;
}

struct OnMemory {
  std::shared_ptr<StoreImage> image = std::make_shared<StoreImage>();
  Replica replica{[image = image](const StoreOptions&) -> Result<std::unique_ptr<Store>> {
                    return open_memory_store(image);
                  },
                  small_settings()};
};

TEST(KvModel, replies_and_hashes_are_those_of_one_map_on_a_store_in_memory) {
  int crashes = 0;
  for (uint64_t seed = 1; seed <= 40; ++seed) {
    OnMemory on;
    Walk walk({.seed = seed}, on.replica, [&] { on.image->lose_power(); });
    ASSERT_EQ(walk.run(), "");
    crashes += walk.crashes();
  }
  EXPECT_GT(crashes, 30);
}

TEST(KvModel, replies_and_hashes_are_those_of_one_map_on_libmdbx) {
  for (uint64_t seed = 1; seed <= 8; ++seed) {
    const TemporaryDirectory directory;
    Replica replica(open_mdbx_store, small_settings(), directory.path());
    Walk walk({.seed = seed, .steps = 1000}, replica, [] {});
    ASSERT_EQ(walk.run(), "");
  }
}

TEST(KvModel, many_keys_and_few_changes_of_each) {
  for (uint64_t seed = 1; seed <= 12; ++seed) {
    OnMemory on;
    Walk walk({.seed = seed, .keys = 3000, .max_value = 40}, on.replica,
              [&] { on.image->lose_power(); });
    ASSERT_EQ(walk.run(), "");
  }
}

// A second replica of the same log, which flushes, reads and replies at other times.
std::map<uint64_t, std::pair<uint64_t, uint64_t>> hashes_of_another(
    const std::vector<LogEntry>& log) {
  OnMemory other;
  EXPECT_TRUE(other.replica.open());
  std::map<uint64_t, std::pair<uint64_t, uint64_t>> hashes;
  std::vector<LogEntry> batch;
  for (const LogEntry& entry : log) {
    batch.push_back(entry);
    if (batch.size() < 7 && entry.index != log.back().index) continue;
    other.replica.apply(std::move(batch));
    batch.clear();
    other.replica.make_stable();
    other.replica.finish();
    other.replica.driver().state_hash();
    other.replica.finish();
    for (const bop_state_hash& hash : other.replica.kv().recent_hashes())
      hashes[hash.index] = {hash.low, hash.high};
  }
  return hashes;
}

TEST(KvModel, replicas_have_equal_hashes_at_equal_indexes) {
  size_t compared = 0;
  for (uint64_t seed = 1; seed <= 6; ++seed) {
    OnMemory one;
    Walk walk({.seed = seed, .crashes = false}, one.replica, [] {});
    ASSERT_EQ(walk.run(), "");
    const auto others = hashes_of_another(walk.log());
    for (const auto& [index, hash] : walk.hashes()) {
      const auto other = others.find(index);
      if (other == others.end()) continue;
      EXPECT_EQ(other->second, hash) << "at " << index;
      ++compared;
    }
  }
  EXPECT_GT(compared, 100u);
}

}  // namespace
}  // namespace bop::machine::kv::test

// Linked with the variant of kv that can carry bugs (machine/kv/seeded_bugs.h): passes when the random walk
// finds the given bug. Argument: the bug.
#include <cstdio>
#include <stdexcept>

#include "base/assert.h"
#include "base/logging.h"
#include "kv_snapshots.h"
#include "kv_walk.h"
#include "machine/kv/seeded_bugs.h"
#include "machine/kv/store_memory.h"

namespace bop::machine::kv::test {
namespace {

std::string walk(uint64_t seed) {
  Settings settings;
  settings.memory_bytes = 64 << 10;
  settings.hash_interval = 16;
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

// A store that alters or loses records, while it is open or before it is opened. Empty: no answer was wrong.
std::string decay(uint64_t seed) {
  Random random(seed);
  const auto image = std::make_shared<StoreImage>();
  Replica replica([image](const StoreOptions&) -> Result<std::unique_ptr<Store>> {
    return open_memory_store(image);
  });
  if (!replica.open()) return "open: " + replica.open_error.to_string();
  constexpr size_t keys = 20;
  for (size_t i = 0; i < keys; ++i)
    replica.run({put("key" + std::to_string(i), "value" + std::to_string(i))});
  replica.flush();
  replica.crash();
  const bool lose = random.chance(1, 2);
  const auto damage = [&] {
    lose ? image->lose(random.below(keys)) : image->rot(random.below(keys));
  };
  // A record that is lost while it is open is missing until a scrub has passed.
  const bool early = lose || random.chance(1, 2);
  if (early) damage();
  replica.open();
  if (!early) damage();
  for (size_t i = 0; i < keys && !replica.failure; ++i) {
    const std::string value = "value" + std::to_string(i);
    const Reply reply = replica.ask(get({"key" + std::to_string(i)}));
    const std::string_view body = as_text(reply.body);
    if (reply.status == BOP_OK && !body.ends_with(value)) return "a wrong answer: " + value;
  }
  return replica.failure ? "" : "the damage was not found";
}

// A snapshot that is taken while entries are applied and flushed, restored into a store that then loses its power. Empty:
// that store has the state that the other had at the snapshot's point.
std::string snapshot(uint64_t seed) {
  Random random(seed);
  const auto node = [] {
    struct Node {
      std::shared_ptr<StoreImage> image = std::make_shared<StoreImage>();
      Replica replica{[image = image](const StoreOptions&) -> Result<std::unique_ptr<Store>> {
        return open_memory_store(image);
      }};
    };
    auto made = std::make_unique<Node>();
    made->replica.open();
    return made;
  };
  const auto donor = node();
  const auto run = [&](size_t commands) {
    for (size_t i = 0; i < commands; ++i)
      donor->replica.run(
          {put("key" + std::to_string(random.below(100)), std::to_string(random.next()))});
  };
  run(random.below(200));
  if (random.chance(1, 2)) donor->replica.flush();
  run(1 + random.below(100));
  donor->replica.make_stable();
  Taking taking(donor->replica, 1 << 10);
  run(random.below(3));
  donor->replica.finish();
  const auto hash = donor->replica.hash_at(taking.point.index);
  while (taking.next()) {
    if (!random.chance(1, 3)) continue;
    run(random.below(50));
    donor->replica.flush();
  }
  if (!taking.ended) return "no snapshot: " + (taking.error ? taking.error->to_string() : "no end");
  const auto receiver = node();
  const Status restored = Restoring(receiver->replica).restore(taking.parts, taking.point);
  if (!restored) return "not restored: " + restored.error().to_string();
  receiver->replica.crash();
  receiver->image->lose_power();
  if (!receiver->replica.open()) return "open: " + receiver->replica.open_error.to_string();
  const auto found = receiver->replica.driver().state_hash();
  if (!hash || !found || found->index != taking.point.index || found->low != hash->low ||
      found->high != hash->high)
    return "another state than that of the point";
  return "";
}

}  // namespace
}  // namespace bop::machine::kv::test

int main(int argc, char** argv) {
  if (argc != 2 || !bop::machine::kv::choose_bug(argv[1])) return 2;
  bop::logging::set_level(bop::logging::Level::off);  // the damage that is found is as it should be
  bop::set_assert_handler([](const char* file, int line, const char* text) {
    throw std::runtime_error(std::string(file) + ":" + std::to_string(line) + ": " + text);
  });
  for (uint64_t seed = 1; seed <= 300; ++seed) {
    std::string seen = bop::machine::kv::test::decay(seed);
    if (seen.empty()) seen = bop::machine::kv::test::snapshot(seed);
    if (seen.empty()) seen = bop::machine::kv::test::walk(seed);
    if (seen.empty()) continue;
    std::printf("seen with seed %llu: %s\n", static_cast<unsigned long long>(seed), seen.c_str());
    return 0;
  }
  std::printf("not seen with 300 seeds\n");
  return 1;
}

#include "serve/key_order.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "base/random.h"

namespace bop::serve {
namespace {

constexpr bool read = false;
constexpr bool write = true;

class Order {
 public:
  bool enter(uint64_t number, bool writes, std::vector<uint64_t> keys) {
    return order.enter(number, writes, keys);
  }
  std::vector<uint64_t> leave(uint64_t number, bool writes, std::vector<uint64_t> keys) {
    std::vector<uint64_t> ready;
    order.leave(number, writes, keys, ready);
    return ready;
  }
  KeyOrder order;
};

using Numbers = std::vector<uint64_t>;

TEST(KeyOrder, commands_on_different_keys_run_together) {
  Order order;
  EXPECT_TRUE(order.enter(1, write, {1}));
  EXPECT_TRUE(order.enter(2, read, {2}));
  EXPECT_TRUE(order.enter(3, write, {3, 4}));
}

TEST(KeyOrder, reads_of_a_key_run_together_and_so_do_writes) {
  Order order;
  EXPECT_TRUE(order.enter(1, write, {1}));
  EXPECT_TRUE(order.enter(2, write, {1}));
  EXPECT_TRUE(order.enter(3, read, {2}));
  EXPECT_TRUE(order.enter(4, read, {2, 3}));
}

TEST(KeyOrder, a_read_is_held_until_all_writes_of_its_key_before_it_are_answered) {
  Order order;
  order.enter(1, write, {1});
  order.enter(2, write, {1});
  EXPECT_FALSE(order.enter(3, read, {1}));
  EXPECT_FALSE(order.enter(4, write, {1}));
  EXPECT_TRUE(order.enter(5, write, {2})) << "it touches another key";
  EXPECT_EQ(order.leave(2, write, {1}), Numbers());
  EXPECT_EQ(order.leave(1, write, {1}), Numbers({3}));
  EXPECT_EQ(order.leave(3, read, {1}), Numbers({4}));
  order.leave(4, write, {1});
  order.leave(5, write, {2});
  EXPECT_TRUE(order.order.empty());
}

TEST(KeyOrder, a_command_on_several_keys_is_held_for_each_of_them) {
  Order order;
  order.enter(1, write, {1});
  order.enter(2, write, {2});
  EXPECT_FALSE(order.enter(3, read, {1, 2, 3}));
  EXPECT_FALSE(order.enter(4, write, {3}));
  EXPECT_EQ(order.leave(1, write, {1}), Numbers());
  EXPECT_EQ(order.leave(2, write, {2}), Numbers({3}));
  EXPECT_EQ(order.leave(3, read, {1, 2, 3}), Numbers({4}));
}

TEST(KeyOrder, knows_the_latest_unanswered_write_of_a_key) {
  Order order;
  EXPECT_EQ(order.order.latest_write(1), KeyOrder::none);
  order.enter(1, write, {1});
  order.enter(2, write, {1});
  EXPECT_EQ(order.order.latest_write(1), 2u);
  order.leave(2, write, {1});
  EXPECT_EQ(order.order.latest_write(1), KeyOrder::none);
}

// Whatever is answered first, no read runs beside a write of its key, none of a key is overtaken, all
// run in the end and nothing is left.
TEST(KeyOrder, keeps_reads_and_writes_of_a_key_apart_and_in_order) {
  struct Command {
    bool writes;
    std::vector<uint64_t> keys;
  };
  for (uint64_t seed = 0; seed < 200; ++seed) {
    Random random(seed);
    Order order;
    std::map<uint64_t, Command> commands, running;
    uint64_t next = 0, started = 0;
    const auto start = [&](uint64_t number) {
      const Command& starting = commands.at(number);
      for (const auto& [other, command] : commands) {
        const bool unfinished_before = other < number;
        const bool runs = running.contains(other);
        for (const uint64_t key : command.keys) {
          if (std::ranges::count(starting.keys, key) == 0) continue;
          if (command.writes == starting.writes) continue;
          EXPECT_FALSE(unfinished_before) << number << " overtakes " << other;
          EXPECT_FALSE(runs) << number << " runs beside " << other;
        }
      }
      running.emplace(number, starting);
      ++started;
    };
    while (next < 100 || !running.empty()) {
      if (next < 100 && random.chance(1, 2)) {
        Command command{random.chance(1, 2), {}};
        for (uint64_t key = 0; key < 4; ++key)
          if (random.chance(1, 3) || (key == 3 && command.keys.empty()))
            command.keys.push_back(key);
        commands.emplace(next, command);
        if (order.enter(next, command.writes, command.keys)) start(next);
        ++next;
      } else if (!running.empty()) {
        auto it = std::next(running.begin(), static_cast<ptrdiff_t>(random.below(running.size())));
        const auto [number, command] = *it;
        running.erase(it);
        commands.erase(number);
        for (const uint64_t ready : order.leave(number, command.writes, command.keys)) start(ready);
      }
    }
    EXPECT_EQ(started, 100u);
    EXPECT_TRUE(order.order.empty());
  }
}

}  // namespace
}  // namespace bop::serve

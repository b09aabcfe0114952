#include "serve/key_order.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"

namespace bop::serve {

bool KeyOrder::enter(uint64_t number, bool writes, std::span<const uint64_t> keys) {
  const bool starts = std::ranges::all_of(keys, [&](uint64_t key) {
    const auto found = keys_.find(key);
    return found == keys_.end() || (!found->second.any_held() && found->second.admits(writes));
  });
  for (const uint64_t key : keys) {
    Key& entered = keys_[key];
    if (writes) entered.latest_write = number;
    if (!starts) entered.held.push_back(number);
  }
  if (starts) {
    start(writes, keys);
  } else {
    held_.emplace(number, Held{.writes = writes, .keys = {keys.begin(), keys.end()}});
  }
  return starts;
}

void KeyOrder::start(bool writes, std::span<const uint64_t> keys) {
  for (const uint64_t key : keys) {
    Key& started = keys_[key];
    ++(writes ? started.writes : started.reads);
  }
}

void KeyOrder::leave(uint64_t number, bool writes, std::span<const uint64_t> keys,
                     std::vector<uint64_t>& ready) {
  for (const uint64_t key : keys) {
    const auto found = keys_.find(key);
    BOP_ASSERT(found != keys_.end());
    Key& left = found->second;
    uint32_t& count = writes ? left.writes : left.reads;
    BOP_ASSERT_LE(1u, count);
    --count;
    if (left.latest_write == number) left.latest_write = none;
    if (left.any_held()) {
      changed_.push_back(key);
    } else if (left.reads == 0 && left.writes == 0) {
      keys_.erase(found);
    }
  }
  while (!changed_.empty()) {
    const uint64_t key = changed_.back();
    changed_.pop_back();
    start_held(key, ready);
  }
}

// Whether it is the first in the line of each of its keys, and no started command on them excludes it. Once this holds
// for a key it stays so, because later commands are held behind it.
bool KeyOrder::may_start(uint64_t number, Held& held) {
  for (; held.passed < held.keys.size(); ++held.passed) {
    const Key& key = keys_[held.keys[held.passed]];
    if (key.held[key.first_held] != number || !key.admits(held.writes)) return false;
  }
  return true;
}

void KeyOrder::start_held(uint64_t key, std::vector<uint64_t>& ready) {
  for (;;) {
    const Key& line = keys_[key];
    if (!line.any_held()) return;
    const uint64_t number = line.held[line.first_held];
    const auto found = held_.find(number);
    if (!may_start(number, found->second)) return;
    const Held held = std::move(found->second);
    held_.erase(found);
    for (const uint64_t each : held.keys) {
      Key& own = keys_[each];
      own.drop_first_held();
      if (each != key) changed_.push_back(each);  // what is behind it may start, too
    }
    start(held.writes, held.keys);
    ready.push_back(number);
  }
}

uint64_t KeyOrder::latest_write(uint64_t key) const {
  const auto found = keys_.find(key);
  return found == keys_.end() ? none : found->second.latest_write;
}

}  // namespace bop::serve

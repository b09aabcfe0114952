#include "client/calls.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "base/random.h"

namespace bop::client {
namespace {

uint64_t add(Calls& calls, Instant deadline, uint64_t tag = 0) {
  Call call;
  call.state = Call::State::parked;
  call.deadline = deadline;
  call.tag = tag;
  return calls.add(std::move(call));
}

std::vector<uint64_t> expired(Calls& calls, Instant now) {
  std::vector<uint64_t> out;
  calls.expired(now, out);
  return out;
}

TEST(Calls, are_found_by_correlation_until_they_are_removed) {
  Calls calls(0);
  const uint64_t one = add(calls, 1 * seconds, 11);
  const uint64_t two = add(calls, 1 * seconds, 22);
  EXPECT_EQ(calls.find(one)->tag, 11u);
  EXPECT_EQ(calls.find(two)->tag, 22u);
  EXPECT_EQ(calls.correlation_of(*calls.find(two)), two);
  calls.remove(one);
  EXPECT_EQ(calls.find(one), nullptr);
  EXPECT_EQ(calls.count(), 1u);
}

TEST(Calls, that_ended_are_not_found_when_their_slot_is_used_again) {
  Calls calls(0);
  const uint64_t first = add(calls, 1 * seconds);
  calls.remove(first);
  const uint64_t second = add(calls, 1 * seconds);
  EXPECT_NE(first, second);
  EXPECT_EQ(calls.find(first), nullptr);
  EXPECT_NE(calls.find(second), nullptr);
}

TEST(Calls, do_not_exist_under_zero_and_beyond_the_last_slot) {
  Calls calls(0);
  add(calls, 1);
  EXPECT_EQ(calls.find(0), nullptr);
  EXPECT_EQ(calls.find(uint64_t{1} << 32 | 5), nullptr);
}

TEST(Calls, expire_within_two_ticks_after_their_deadline_and_never_before) {
  Calls calls(0);
  Random random(5);
  std::vector<std::pair<uint64_t, Instant>> open;
  Instant now = 0;
  for (int step = 0; step < 3000; ++step) {
    // Deadlines from the past to three turns of the wheel ahead.
    const Instant deadline = now + random.between(-1, 15000) * milliseconds;
    open.emplace_back(add(calls, deadline), deadline);
    now += random.between(0, 30) * milliseconds;
    for (const uint64_t correlation : expired(calls, now)) {
      const auto found = std::find_if(open.begin(), open.end(), [&](const auto& expected) {
        return expected.first == correlation;
      });
      ASSERT_NE(found, open.end());
      ASSERT_LE(found->second, now);
      calls.remove(correlation);
      open.erase(found);
    }
    for (const auto& expected : open) ASSERT_GT(expected.second + 2 * Calls::tick, now);
  }
  ASSERT_EQ(calls.count(), open.size());
}

TEST(Calls, all_expire_after_a_pause_longer_than_the_wheel) {
  Calls calls(0);
  for (int i = 0; i < 1000; ++i) add(calls, i * 10 * milliseconds);
  EXPECT_EQ(expired(calls, 3600 * seconds).size(), 1000u);
}

TEST(Calls, are_listed_all) {
  Calls calls(0);
  std::set<uint64_t> expected;
  for (int i = 0; i < 10; ++i) expected.insert(add(calls, seconds));
  calls.remove(*expected.begin());
  expected.erase(expected.begin());
  std::vector<uint64_t> all;
  calls.all(all);
  EXPECT_EQ(std::set<uint64_t>(all.begin(), all.end()), expected);
}

}  // namespace
}  // namespace bop::client

#include "group/proposals.h"

#include <gtest/gtest.h>

#include <map>

#include "base/random.h"

namespace bop::group {
namespace {

Pending pending(Term term, uint64_t token, Instant deadline = never) {
  return {.term = term, .deadline = deadline, .origin = {.completion = nullptr, .token = token}};
}

TEST(Proposals, a_proposal_is_taken_at_its_index_once) {
  Proposals proposals(8);
  (void)proposals.put(5, pending(2, 50));
  (void)proposals.put(6, pending(2, 60));
  EXPECT_EQ(proposals.size(), 2u);
  EXPECT_EQ(proposals.take(5).origin.token, 50u);
  EXPECT_EQ(proposals.take(5).term, 0u);
  EXPECT_EQ(proposals.take(6).origin.token, 60u);
  EXPECT_EQ(proposals.size(), 0u);
}

TEST(Proposals, an_index_without_a_proposal_gives_none) {
  Proposals proposals(8);
  EXPECT_EQ(proposals.take(1).term, 0u);
  (void)proposals.put(3, pending(1, 30));
  EXPECT_EQ(proposals.take(2).term, 0u);
  EXPECT_EQ(proposals.take(3).origin.token, 30u);
}

TEST(Proposals, replacing_an_entry_returns_the_proposal_that_was_at_its_index) {
  Proposals proposals(8);
  (void)proposals.put(4, pending(1, 40));
  const Pending before = proposals.put(4, pending(3, 41));
  EXPECT_EQ(before.term, 1u);
  EXPECT_EQ(before.origin.token, 40u);
  EXPECT_EQ(proposals.take(4).origin.token, 41u);
}

TEST(Proposals, the_ring_refuses_an_index_that_would_overwrite_another) {
  Proposals proposals(4);
  (void)proposals.put(10, pending(1, 1));
  EXPECT_TRUE(proposals.fits(13));
  EXPECT_FALSE(proposals.fits(14));
  (void)proposals.put(13, pending(1, 2));
  EXPECT_FALSE(proposals.fits(9));
  (void)proposals.take(10);
  EXPECT_TRUE(proposals.fits(14));
}

TEST(Proposals, proposals_of_older_terms_are_taken_and_the_others_stay) {
  Proposals proposals(8);
  (void)proposals.put(3, pending(1, 30));
  (void)proposals.put(4, pending(2, 40));
  (void)proposals.put(6, pending(3, 60));
  std::vector<uint64_t> taken;
  proposals.take_older(3, [&](const Pending& one) { taken.push_back(one.origin.token); });
  EXPECT_EQ(taken, (std::vector<uint64_t>{30, 40}));
  EXPECT_EQ(proposals.size(), 1u);
  EXPECT_EQ(proposals.take(6).origin.token, 60u);
}

TEST(Proposals, expired_proposals_are_answered_and_the_others_wait) {
  Proposals proposals(8);
  (void)proposals.put(1, pending(1, 10, 100));
  (void)proposals.put(2, pending(1, 20, 300));
  (void)proposals.put(3, pending(1, 30, 200));
  std::vector<uint64_t> expired;
  const Instant next = proposals.expire(
      200, [&](Index, const Pending& out) { expired.push_back(out.origin.token); });
  EXPECT_EQ(expired, (std::vector<uint64_t>{10, 30}));
  EXPECT_EQ(next, 300);
  EXPECT_EQ(proposals.take(2).origin.token, 20u);
}

TEST(Proposals, an_answered_proposal_keeps_its_place_until_its_entry_is_decided) {
  Proposals proposals(4);
  for (Index index = 5; index <= 8; ++index) (void)proposals.put(index, pending(2, index, 100));
  size_t answered = 0;
  const auto count = [&](auto&&...) { ++answered; };
  EXPECT_EQ(proposals.expire(100, count), never);
  EXPECT_EQ(answered, 4u);
  EXPECT_EQ(proposals.waiting(), 0u);
  EXPECT_EQ(proposals.size(), 4u);
  EXPECT_FALSE(proposals.fits(9));
  proposals.expire(never, count);
  EXPECT_EQ(answered, 4u) << "each is answered once";
  EXPECT_EQ(proposals.take(5).term, 0u) << "it needs no further answer";
  EXPECT_TRUE(proposals.fits(9));
  EXPECT_EQ(proposals.put(7, pending(3, 70)).term, 0u) << "the entry was replaced, and is answered";
  EXPECT_EQ(proposals.waiting(), 1u);
  proposals.take_older(3, count);
  EXPECT_EQ(answered, 4u);
  EXPECT_EQ(proposals.size(), 1u);
  EXPECT_EQ(proposals.take(7).origin.token, 70u);
  EXPECT_EQ(proposals.size(), 0u);
}

TEST(Proposals, any_order_of_calls_agrees_with_a_map) {
  for (uint64_t seed = 1; seed <= 50; ++seed) {
    Random random(seed);
    Proposals proposals(64);
    std::map<Index, uint64_t> model;
    Index next = 1, applied = 1;
    for (int step = 0; step < 2000; ++step) {
      if (random.chance(3, 5) && proposals.fits(next)) {
        if (random.chance(4, 5)) {
          (void)proposals.put(next, pending(1, next * 10));
          model[next] = next * 10;
        }
        ++next;
      } else if (applied < next) {
        const Pending taken = proposals.take(applied);
        auto found = model.find(applied);
        ASSERT_EQ(taken.term != 0, found != model.end());
        if (found != model.end()) {
          ASSERT_EQ(taken.origin.token, found->second);
          model.erase(found);
        }
        ++applied;
      }
      ASSERT_EQ(proposals.size(), model.size());
    }
  }
}

}  // namespace
}  // namespace bop::group

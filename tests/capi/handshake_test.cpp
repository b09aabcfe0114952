// How nodes greet each other, and what they remember of it.
#include "capi/node/handshake.h"

#include <gtest/gtest.h>

#include <memory>
#include <vector>

namespace bop::capi {
namespace {

using port::Channel;

struct Greeter {
  explicit Greeter(NodeId id, uint64_t incarnation) {
    identity.cluster = {7};
    identity.node = id;
    identity.incarnation = incarnation;
    handshake = std::make_unique<Handshake>(
        identity, port::Introduction{.instance = id * 100, .address = "host:1", .native = "host:2"},
        node::Incarnations(), [this](const node::Incarnations& all) { saves.push_back(all); });
  }

  node::Identity identity;
  std::vector<node::Incarnations> saves;  // what it was asked to save
  std::unique_ptr<Handshake> handshake;
};

TEST(Handshake, introduces_both_sides_to_each_other) {
  Greeter caller(1, 11), called(2, 22);
  const auto greeting = called.handshake->read_hello(caller.handshake->hello(2, Channel::bulk));
  ASSERT_TRUE(greeting.verdict);
  EXPECT_EQ(greeting.from, 1u);
  EXPECT_EQ(greeting.introduction.instance, 100u);
  EXPECT_EQ(greeting.introduction.address, "host:1");
  EXPECT_EQ(greeting.introduction.native, "host:2");
  const auto answer = caller.handshake->read_answer(
      2, Channel::bulk, called.handshake->answer(1, Channel::bulk, greeting.verdict));
  EXPECT_TRUE(answer.verdict);
  EXPECT_TRUE(answer.their_verdict);
  EXPECT_EQ(answer.introduction.instance, 200u);
}

TEST(Handshake, a_refusal_names_its_reason_to_the_other_side_whoever_called) {
  Greeter one(1, 11), two(2, 22);
  const Status refusal = fail(BOP_E_WRONG_INCARNATION, "it was reformatted");
  const mem::Buffer answer = two.handshake->answer(1, Channel::control, refusal);
  const auto read = one.handshake->read_answer(2, Channel::control, answer);
  ASSERT_FALSE(read.their_verdict);
  EXPECT_EQ(read.their_verdict.error().code, BOP_E_WRONG_INCARNATION);
  EXPECT_EQ(read.their_verdict.error().detail, "node 2 refused: it was reformatted");
  const Status late = one.handshake->read_refusal(2, answer);
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code, BOP_E_WRONG_INCARNATION);
  // Any other first frame is none.
  EXPECT_TRUE(one.handshake->read_refusal(2, two.handshake->hello(1, Channel::control)));
  EXPECT_TRUE(one.handshake->read_refusal(2, two.handshake->answer(1, Channel::control, {})));
}

TEST(Handshake, what_was_not_saved_is_saved_again) {
  Greeter caller(1, 11), called(2, 22);
  const auto greet = [&] {
    EXPECT_TRUE(called.handshake->read_hello(caller.handshake->hello(2, Channel::bulk)).verdict);
  };
  greet();
  ASSERT_EQ(called.saves.size(), 1u);
  greet();
  EXPECT_EQ(called.saves.size(), 1u);  // one save at a time
  called.handshake->saved(fail(BOP_E_DISK_FULL, "no space"));
  greet();
  ASSERT_EQ(called.saves.size(), 2u);
  called.handshake->saved(fail(BOP_E_DISK_FULL, "no space"));
  called.handshake->save_if_changed();  // without a hello, too
  ASSERT_EQ(called.saves.size(), 3u);
  called.handshake->saved({});
  greet();
  called.handshake->save_if_changed();
  EXPECT_EQ(called.saves.size(), 3u);
}

TEST(Handshake, a_peer_that_is_met_while_a_save_is_under_way_is_saved_after_it) {
  Greeter one(1, 11), two(2, 22), three(3, 33);
  EXPECT_TRUE(three.handshake->read_hello(one.handshake->hello(3, Channel::bulk)).verdict);
  EXPECT_TRUE(three.handshake->read_hello(two.handshake->hello(3, Channel::bulk)).verdict);
  ASSERT_EQ(three.saves.size(), 1u);
  three.handshake->saved({});
  ASSERT_EQ(three.saves.size(), 2u);
  three.handshake->saved({});
  three.handshake->save_if_changed();
  EXPECT_EQ(three.saves.size(), 2u);
}

}  // namespace
}  // namespace bop::capi

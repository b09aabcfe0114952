#include "capi/queue.h"

#include <gtest/gtest.h>
#include <poll.h>

#include <string>
#include <thread>
#include <vector>

namespace bop::capi {
namespace {

class AQueue : public testing::Test {
 protected:
  AQueue() { EXPECT_EQ(bop_queue_create(4, &queue_), BOP_OK); }
  ~AQueue() override { bop_queue_destroy(queue_); }

  void push(uint64_t tag, const std::string& body = {}, const char* detail = "") {
    bop_completion completion{};
    completion.tag = tag;
    completion.body = {reinterpret_cast<const uint8_t*>(body.data()), body.size()};
    completion.detail = detail;
    queue_->push(completion);
  }
  bool readable() const {
    pollfd descriptor{static_cast<int>(bop_queue_handle(queue_)), POLLIN, 0};
    return poll(&descriptor, 1, 0) == 1;
  }
  static std::string body(const bop_completion& completion) {
    return {reinterpret_cast<const char*>(completion.body.data), completion.body.size};
  }

  bop_queue* queue_ = nullptr;
  bop_completion out_[8];
};

TEST_F(AQueue, gives_completions_back_in_order_with_their_bytes) {
  push(1, "one", "first");
  push(2);
  push(3, std::string(100000, 'x'));
  ASSERT_EQ(bop_queue_drain(queue_, out_, 8), 3u);
  EXPECT_EQ(out_[0].tag, 1u);
  EXPECT_EQ(body(out_[0]), "one");
  EXPECT_STREQ(out_[0].detail, "first");
  EXPECT_EQ(body(out_[1]), "");
  EXPECT_STREQ(out_[1].detail, "");
  EXPECT_EQ(body(out_[2]), std::string(100000, 'x'));
  EXPECT_EQ(bop_queue_drain(queue_, out_, 8), 0u);
}

TEST_F(AQueue, is_readable_exactly_while_it_holds_completions) {
  EXPECT_FALSE(readable());
  push(1);
  push(2);
  EXPECT_TRUE(readable());
  ASSERT_EQ(bop_queue_drain(queue_, out_, 1), 1u);
  EXPECT_TRUE(readable());
  push(3);
  ASSERT_EQ(bop_queue_drain(queue_, out_, 1), 1u);
  EXPECT_TRUE(readable());
  ASSERT_EQ(bop_queue_drain(queue_, out_, 8), 1u);
  EXPECT_FALSE(readable());
  push(4);
  EXPECT_TRUE(readable());
}

TEST_F(AQueue, keeps_bytes_until_it_is_drained_again) {
  push(1, "kept");
  ASSERT_EQ(bop_queue_drain(queue_, out_, 8), 1u);
  for (int i = 0; i < 100; ++i) push(2, std::string(1000, 'y'));
  EXPECT_EQ(body(out_[0]), "kept");
}

TEST_F(AQueue, has_room_for_what_it_was_made_for_and_no_more) {
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(queue_->reserve());
  EXPECT_FALSE(queue_->reserve());
  queue_->cancel_reservation();
  EXPECT_TRUE(queue_->reserve());
  push(1);
  EXPECT_FALSE(queue_->reserve());  // completed, but not drained
  ASSERT_EQ(bop_queue_drain(queue_, out_, 8), 1u);
  EXPECT_TRUE(queue_->reserve());
}

TEST_F(AQueue, waits_until_a_completion_comes) {
  EXPECT_EQ(bop_queue_wait(queue_, 0), BOP_E_TIMEOUT);
  EXPECT_EQ(bop_queue_wait(queue_, 5), BOP_E_TIMEOUT);
  std::thread pusher([&] { push(1); });
  EXPECT_EQ(bop_queue_wait(queue_, -1), BOP_OK);
  pusher.join();
  EXPECT_EQ(bop_queue_wait(queue_, INT64_MAX), BOP_OK);
}

TEST_F(AQueue, loses_nothing_between_many_threads) {
  bop_queue* large = nullptr;
  ASSERT_EQ(bop_queue_create(0, &large), BOP_OK);
  constexpr uint64_t each = 5000;
  std::vector<std::thread> pushers;
  for (uint64_t pusher = 0; pusher < 3; ++pusher) {
    pushers.emplace_back([large, pusher] {
      for (uint64_t i = 0; i < each; ++i) {
        const std::string body = std::to_string(i);
        bop_completion completion{};
        completion.tag = pusher;
        completion.body = {reinterpret_cast<const uint8_t*>(body.data()), body.size()};
        while (!large->reserve()) std::this_thread::yield();
        large->push(completion);
      }
    });
  }
  uint64_t next[3] = {};
  for (uint64_t drained = 0; drained < 3 * each;) {
    ASSERT_EQ(bop_queue_wait(large, 10000), BOP_OK);
    const size_t count = bop_queue_drain(large, out_, 8);
    for (size_t i = 0; i < count; ++i) {
      ASSERT_EQ(body(out_[i]), std::to_string(next[out_[i].tag]++));
    }
    drained += count;
  }
  for (std::thread& pusher : pushers) pusher.join();
  bop_queue_destroy(large);
}

TEST(Completions, go_to_a_queue_or_a_callback_but_not_both) {
  bop_queue* queue = nullptr;
  ASSERT_EQ(bop_queue_create(1, &queue), BOP_OK);
  const bop_callback callback = [](void* context, const bop_completion* completion) {
    *static_cast<uint64_t*>(context) = completion->tag;
  };
  EXPECT_FALSE(Completions::of(nullptr, nullptr, nullptr));
  EXPECT_FALSE(Completions::of(queue, callback, nullptr));
  uint64_t seen = 0;
  const auto completions = Completions::of(nullptr, callback, &seen);
  ASSERT_TRUE(completions);
  bop_completion completion{};
  completion.tag = 42;
  completions->complete(completion);
  EXPECT_EQ(seen, 42u);
  bop_queue_destroy(queue);
}

TEST(AQueueHandle, that_is_missing_is_refused) {
  EXPECT_EQ(bop_queue_create(1, nullptr), BOP_E_INVALID_ARGUMENT);
  EXPECT_EQ(bop_queue_handle(nullptr), -1);
  EXPECT_EQ(bop_queue_drain(nullptr, nullptr, 1), 0u);
  EXPECT_EQ(bop_queue_wait(nullptr, 0), BOP_E_INVALID_ARGUMENT);
  bop_queue_destroy(nullptr);
}

}  // namespace
}  // namespace bop::capi

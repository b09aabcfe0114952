#include "client/endpoints.h"

#include <gtest/gtest.h>

namespace bop::client {
namespace {

Endpoints three() {
  return Endpoints({{"127.0.0.1", 1, {}}, {"127.0.0.1", 2, {}}, {"127.0.0.1", 3, {}}});
}

TEST(Endpoints, are_used_from_the_first_on) {
  const Endpoints endpoints = three();
  EXPECT_EQ(endpoints.route(1), 0u);
  EXPECT_EQ(endpoints.usable(0, 0), 0u);
}

TEST(Endpoints, learn_a_groups_leader_without_affecting_other_groups) {
  Endpoints endpoints = three();
  EXPECT_TRUE(endpoints.learn_leader(7, "127.0.0.1:3"));
  EXPECT_EQ(endpoints.route(7), 2u);
  EXPECT_EQ(endpoints.route(8), 0u);
}

TEST(Endpoints, learn_leaders_that_were_not_given) {
  Endpoints endpoints = three();
  EXPECT_TRUE(endpoints.learn_leader(7, "127.0.0.1:9"));
  EXPECT_EQ(endpoints.route(7), 3u);
  EXPECT_EQ(endpoints.at(3).address.port, 9);
  EXPECT_FALSE(endpoints.learn_leader(7, "no address"));
  EXPECT_FALSE(endpoints.learn_leader(7, "unix:/tmp/elsewhere"));
  EXPECT_EQ(endpoints.size(), 4u);
}

TEST(Endpoints, learn_only_so_many) {
  Endpoints endpoints = three();
  for (int port = 10; port < 1000; ++port) {
    endpoints.learn_leader(7, "127.0.0.1:" + std::to_string(port));
  }
  EXPECT_EQ(endpoints.size(), Endpoints::max_endpoints);
}

TEST(Endpoints, that_failed_are_skipped_until_their_pause_is_over) {
  Endpoints endpoints = three();
  endpoints.failed(0, "gone", 100);
  EXPECT_EQ(endpoints.usable(0, 100), 1u);
  EXPECT_EQ(endpoints.usable(0, 100 + Endpoints::first_pause), 0u);
  endpoints.failed(1, "gone", 100);
  endpoints.failed(2, "gone", 200);
  EXPECT_EQ(endpoints.usable(0, 200), Endpoints::npos);
  EXPECT_EQ(endpoints.next_up(200), 100 + Endpoints::first_pause);
}

TEST(Endpoints, pause_longer_with_every_failure_up_to_a_limit) {
  Endpoints endpoints = three();
  Instant now = 0;
  Duration last = 0;
  for (int i = 0; i < 20; ++i) {
    endpoints.failed(0, "gone", now);
    const Duration pause = endpoints.at(0).down_until - now;
    EXPECT_GE(pause, last);
    EXPECT_LE(pause, Endpoints::longest_pause);
    last = pause;
    now = endpoints.at(0).down_until;
  }
  EXPECT_EQ(last, Endpoints::longest_pause);
  endpoints.answered(0);
  endpoints.failed(0, "gone again", now);
  EXPECT_EQ(endpoints.at(0).down_until - now, Endpoints::first_pause);
}

TEST(Endpoints, count_connections_that_fail_together_as_one_failure) {
  Endpoints endpoints = three();
  for (int i = 0; i < 100; ++i) endpoints.failed(0, "gone", 50);
  EXPECT_EQ(endpoints.at(0).down_until, 50 + Endpoints::first_pause);
}

TEST(Endpoints, turn_a_group_away_only_from_where_it_is) {
  Endpoints endpoints = three();
  endpoints.turn_away(7, 0);
  EXPECT_EQ(endpoints.route(7), 1u);
  endpoints.turn_away(7, 0);  // the group is not sent there any more
  EXPECT_EQ(endpoints.route(7), 1u);
  endpoints.turn_away(7, 1);
  endpoints.turn_away(7, 2);
  EXPECT_EQ(endpoints.route(7), 0u);
}

TEST(Endpoints, name_the_last_cause_of_each) {
  Endpoints endpoints = three();
  endpoints.answered(0);
  endpoints.failed(1, "connection refused", 0);
  endpoints.learn_leader(7, "127.0.0.1:9");
  EXPECT_EQ(endpoints.causes(),
            "127.0.0.1:1: ok; 127.0.0.1:2: connection refused; 127.0.0.1:3: not contacted yet");
  endpoints.failed(3, "connection refused", 0);
  EXPECT_NE(endpoints.causes().find("127.0.0.1:9: connection refused"), std::string::npos);
}

}  // namespace
}  // namespace bop::client

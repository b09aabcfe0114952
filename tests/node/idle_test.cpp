// What a node does without requests.
#include "cluster.h"

namespace bop::node {
namespace {

using testing::hash_questions;

TEST(AnIdleNode, asks_its_machine_for_the_hash_of_what_it_applied) {
  GroupSpec group;
  group.name = "group";
  group.id = 1;
  testing::Cluster cluster(1, 1, {group});
  cluster.start();
  testing::Asker asker;
  for (uint64_t token = 1; token <= 3; ++token) {
    const uint64_t before = hash_questions;
    cluster.member(1).on(0, [&](Service& service) {
      service.propose({.group = 1,
                       .payload = testing::buffer("command"),
                       .deadline = service.now() + 60 * seconds,
                       .completion = &asker,
                       .token = token});
    });
    asker.wait_for(token);
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (hash_questions == before && std::chrono::steady_clock::now() < end)
      std::this_thread::yield();
    EXPECT_GT(hash_questions, before);
  }
}

}  // namespace
}  // namespace bop::node

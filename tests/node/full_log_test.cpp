// A full log: the machine makes nothing durable, so that nothing can be released.
#include "cluster.h"

namespace bop::node::testing {
namespace {

TEST(AFullLog, refuses_by_name_what_does_not_fit_however_much_comes_at_once) {
  GroupSpec group;
  group.name = "group";
  group.id = 1;
  Cluster cluster(1, 1, {group});
  cluster.start();
  Member& member = cluster.member(1);
  const std::string text(60'000, 'x');
  Asker asker;
  uint64_t asked = 0;
  bool refused = false;
  while (!refused && asked < 2000) {
    member.on(0, [&](Service& service) {
      for (int i = 0; i < 100; ++i) {
        service.propose({.group = 1,
                         .payload = buffer(text),
                         .deadline = service.now() + 10 * seconds,
                         .completion = &asker,
                         .token = asked++});
      }
    });
    for (const Asker::Heard& heard : asker.wait_for(asked)) {
      refused = refused || heard.status != BOP_OK;
      EXPECT_TRUE(heard.status == BOP_OK || heard.status == BOP_E_LOG_FULL)
          << heard.token << ": " << bop_error_name(heard.status) << " " << heard.detail;
    }
  }
  EXPECT_TRUE(refused);
}

}  // namespace
}  // namespace bop::node::testing

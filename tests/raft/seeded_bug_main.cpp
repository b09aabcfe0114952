// Linked with a variant of the core that has a bug (raft/seeded_bugs.h): passes when the random
// cluster catches it.
#include <cstdio>

#include "base/assert.h"
#include "checker.h"
#include "random_cluster.h"

int main() {
  using namespace bop::raft::test;
  constexpr uint64_t seeds = 400;
  bop::set_assert_handler(throw_on_assert);
  for (uint64_t seed = 1; seed <= seeds; ++seed) {
    try {
      run_random_cluster(seed);
    } catch (const Violation& violation) {
      std::printf("caught by seed %llu: %s\n", static_cast<unsigned long long>(seed),
                  violation.what());
      return 0;
    }
  }
  std::printf("not caught by %llu seeds\n", static_cast<unsigned long long>(seeds));
  return 1;
}

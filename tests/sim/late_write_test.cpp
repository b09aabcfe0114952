// The fault "late write": it strikes, the locks of the files hold it off, and without them it is seen.
#include <gtest/gtest.h>

#include "base/logging.h"
#include "sim/simulation.h"

namespace bop::sim {
namespace {

constexpr uint64_t seeds_without_locks = 100;
constexpr uint64_t seeds_with_locks = 10;

SimulationResult run(uint64_t seed, bool ignore_file_locks) {
  SimulationOptions options;
  options.seed = seed;
  options.setting.faults = {Fault::late_write};
  options.setting.pick_faults = false;
  options.ignore_file_locks = ignore_file_locks;
  return simulate(options);
}

class LateWrite : public testing::Test {
 protected:
  LateWrite() { EXPECT_TRUE(logging::start({.level = logging::Level::off})); }
  ~LateWrite() override { logging::stop(); }
};

TEST_F(LateWrite, a_successor_that_waits_for_the_locks_loses_nothing) {
  uint64_t waited_for = 0;
  for (uint64_t seed = 1; seed <= seeds_with_locks; ++seed) {
    const SimulationResult result = run(seed, false);
    EXPECT_FALSE(result.failure) << "seed " << seed << ": " << *result.failure;
    waited_for += result.late_writes_waited_for;
  }
  EXPECT_GT(waited_for, seeds_with_locks) << "the fault hardly ever happens";
}

TEST_F(LateWrite, a_successor_that_ignores_the_locks_is_caught) {
  for (uint64_t seed = 1; seed <= seeds_without_locks; ++seed) {
    if (const auto failure = run(seed, true).failure) {
      std::printf("seen with seed %llu: %s\n", static_cast<unsigned long long>(seed),
                  failure->c_str());
      return;
    }
  }
  FAIL() << "not seen with " << seeds_without_locks << " seeds";
}

}  // namespace
}  // namespace bop::sim

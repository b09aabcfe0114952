// Each fault really happens: a run with it alone has its effects, and nothing is violated.
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "base/logging.h"
#include "sim/simulation.h"

namespace bop::sim {
namespace {

struct Expected {
  const char* fault;
  std::vector<std::string> effects;  // names as in the summary of bop-sim
};

void PrintTo(const Expected& expected, std::ostream* out) { *out << expected.fault; }

class EachFault : public testing::TestWithParam<Expected> {
 protected:
  EachFault() { EXPECT_TRUE(logging::start({.level = logging::Level::off})); }
  ~EachFault() override { logging::stop(); }
};

TEST_P(EachFault, really_happens_and_violates_nothing) {
  std::map<std::string, uint64_t> effects;
  uint64_t struck = 0;
  const auto missing = [&] {
    for (const std::string& effect : GetParam().effects)
      if (effects[effect] == 0) return effect;
    return std::string();
  };
  constexpr uint64_t most_seeds = 40;
  for (uint64_t seed = 1; seed <= most_seeds && (seed <= 2 || !missing().empty()); ++seed) {
    SimulationOptions options;
    options.seed = seed;
    options.time = 15 * seconds;
    options.setting.nodes = 3;
    options.setting.faults = *parse_faults(GetParam().fault);
    options.setting.pick_faults = false;
    const SimulationResult result = simulate(options);
    ASSERT_FALSE(result.failure) << "seed " << seed << ": " << *result.failure;
    for (const auto& [effect, count] : result.effects) effects[effect] += count;
    for (const auto& [fault, count] : result.faults) struck += count;
  }
  EXPECT_GT(struck, 0u);
  EXPECT_EQ(missing(), "");
}

INSTANTIATE_TEST_SUITE_P(
    Faults, EachFault,
    testing::Values(
        Expected{"kill", {}}, Expected{"power", {"torn writes"}}, Expected{"blackout", {}},
        Expected{"restart", {}}, Expected{"pause", {}}, Expected{"isolate", {}},
        Expected{"split", {}}, Expected{"one_way", {}}, Expected{"storm", {}},
        Expected{"slow_disk", {}}, Expected{"stall", {}}, Expected{"failing", {"failed writes"}},
        Expected{"full", {"writes refused for space"}},
        Expected{"rot", {"bits flipped", "unreadable sectors read"}}, Expected{"clock", {}},
        Expected{"store", {"store steps failed"}}, Expected{"large", {}},
        Expected{"crash_at_io",
                 {"crashes at write", "crashes at read", "crashes at open", "crashes at renaming",
                  "crashes at sync of directory"}},
        Expected{"depose", {"leaders cut off", "leaders cut off with a frozen clock"}},
        Expected{"crash_in_recovery",
                 {"crashes within a blocking read", "crashes within a blocking write",
                  "crashes within a blocking sync", "crashes within a blocking open",
                  "crashes within a blocking sync of directory", "failed starts"}},
        Expected{"lost_write", {"lost writes"}},
        Expected{"misdirected_write", {"misdirected writes"}},
        Expected{"misread,large,kill", {"misreads"}},
        Expected{"read_error,large,kill", {"failed reads"}},
        Expected{"live_rot", {"bits flipped", "unreadable sectors read"}},
        Expected{"file_rot", {"bits flipped", "failed starts"}},
        Expected{"nearly_full", {"writes refused for space"}},
        Expected{"stalled_write", {"stalled writes"}}, Expected{"stalled_job", {"stalled jobs"}},
        Expected{"store_full", {"store flushes refused for space"}},
        Expected{"store_rot,kill", {"store bits flipped", "store damage detected"}},
        Expected{"store_lost_write,power", {"store writes lost", "store damage detected"}},
        Expected{"flap", {"connections reset"}}, Expected{"partial", {}},
        Expected{"crash_at_vote,kill", {"crashes at votes"}},
        Expected{"repeat", {"frames repeated"}}),
    [](const auto& info) {
      std::string name = info.param.fault;
      return name.substr(0, name.find(','));
    });

}  // namespace
}  // namespace bop::sim

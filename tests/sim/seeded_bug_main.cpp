// Linked with group's variant that has bugs (group/seeded_bugs.h): passes when some seed makes the simulator
// see the one named. Arguments: the bug.
#include <cstdio>
#include <cstdlib>

#include "base/assert.h"
#include "base/logging.h"
#include "group/seeded_bugs.h"
#include "sim/simulation.h"

namespace {

// Without a bug a few do: sim.seeds runs more.
constexpr uint64_t seeds_with_bug = 400;
constexpr uint64_t seeds_without = 40;

[[noreturn]] void seen_by_assert(const char* file, int line, const char* text) {
  std::printf("seen by the assert %s:%d: %s\n", file, line, text);
  std::fflush(nullptr);
  std::_Exit(0);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2 || !bop::group::choose_bug(argv[1])) return 2;
  const uint64_t seeds =
      bop::group::chosen_bug == bop::group::Bug::none ? seeds_without : seeds_with_bug;
  bop::set_assert_handler(seen_by_assert);
  bop::logging::start({.level = bop::logging::Level::off});
  for (uint64_t seed = 1; seed <= seeds; ++seed) {
    bop::sim::SimulationOptions options;
    options.seed = seed;
    // Seen when a clean stop has the machine fold what its stalled log has not written yet.
    if (bop::group::chosen_bug == bop::group::Bug::stable_beyond_committed) {
      options.faults = {bop::sim::Fault::restart, bop::sim::Fault::stall};
      options.pick_faults = false;
    }
    const bop::sim::SimulationResult result = bop::sim::simulate(options);
    if (!result.failure) continue;
    std::printf("seen with seed %llu: %s\n", static_cast<unsigned long long>(seed),
                result.failure->c_str());
    return 0;
  }
  std::printf("not seen with %llu seeds\n", static_cast<unsigned long long>(seeds));
  return 1;
}

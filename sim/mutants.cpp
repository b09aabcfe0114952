#include "sim/mutants.h"

#include <algorithm>
#include <map>

#include "base/assert.h"

namespace bop::sim {

namespace {

constexpr ModuleBug no_bug{"", {"none", "the correct build", "", "there is nothing to see"}};

class Runner {
 public:
  explicit Runner(const MutantOptions& options) : options_(options) {}

  MutantResult run(const ModuleBug& bug) {
    MutantResult result{bug, {}, {}};
    TrialResult& all = result.trial;
    for (uint64_t seed = options_.first_seed;; seed = all.seed + 1) {
      BOP_ASSERT(choose_seeded_bug(bug.bug.name));
      const TrialResult before = all;
      all = run_apart(options_.simulation, seed, options_.last_seed,
                      options_.seconds_each - before.seconds);
      all.seconds += before.seconds;
      all.seeds += before.seeds;
      if (!all.failed || bug.bug.name == no_bug.bug.name || !fails_without_bug(all.seed)) break;
      result.skipped.push_back(all.seed);
      all.failed = false;
      all.check.clear();
      all.message = "no check reported it";
      if (all.seconds >= options_.seconds_each || all.seed >= options_.last_seed) break;
    }
    return result;
  }

 private:
  bool fails_without_bug(uint64_t seed) {
    const auto [known, first] = fails_without_bug_.try_emplace(seed, false);
    if (first) {
      BOP_ASSERT(choose_seeded_bug(no_bug.bug.name));
      known->second = run_apart(options_.simulation, seed, seed, options_.seconds_each).failed;
    }
    return known->second;
  }

  const MutantOptions& options_;
  std::map<uint64_t, bool> fails_without_bug_;  // by seed
};

}  // namespace

bool run_mutants(const MutantOptions& options, const std::function<void(const MutantResult&)>& done,
                 std::string& unknown) {
  const auto all = module_bugs();
  for (const std::string& name : options.names) {
    const auto named = [&](const ModuleBug& bug) { return bug.bug.name == name; };
    if (std::ranges::any_of(all, named) || name == "none") continue;
    unknown = name;
    return false;
  }
  const auto wanted = [&](std::string_view name) {
    return options.names.empty() || std::ranges::find(options.names, name) != options.names.end();
  };
  Runner runner(options);
  for (const ModuleBug& bug : all) {
    if (wanted(bug.bug.name)) done(runner.run(bug));
  }
  if (!options.names.empty() && wanted("none")) done(runner.run(no_bug));
  return true;
}

}  // namespace bop::sim

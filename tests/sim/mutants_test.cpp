// What `bop-sim --mutants` counts as caught. The only bug here is none at all, so whatever it is caught by
// also fails without it.
#include "sim/mutants.h"

#include <gtest/gtest.h>

#include "sim/seeded.h"

namespace bop::sim {

namespace {

constexpr ModuleBug bugs[] = {{"none", {"harmless", "changes nothing", "", ""}}};

MutantResult run(bool ignore_file_locks) {
  MutantOptions options;
  options.last_seed = 3;
  options.seconds_each = 600;  // never reached: a sanitizer takes a tenth of it
  options.simulation.setting.faults = {Fault::late_write};
  options.simulation.setting.pick_faults = false;
  options.simulation.ignore_file_locks = ignore_file_locks;
  MutantResult result;
  std::string unknown;
  EXPECT_TRUE(run_mutants(options, [&](const MutantResult& one) { result = one; }, unknown));
  return result;
}

TEST(Mutants, a_bug_is_not_caught_by_a_seed_that_fails_without_it) {
  const MutantResult result = run(true);
  EXPECT_FALSE(result.trial.failed) << result.trial.message;
  EXPECT_FALSE(result.skipped.empty()) << "no seed failed in " << result.trial.seeds;
  EXPECT_EQ(result.trial.seed, 3) << "it goes on after a skipped seed";
  EXPECT_EQ(result.trial.seeds, 3);
}

TEST(Mutants, a_bug_without_effect_is_not_caught) {
  const MutantResult result = run(false);
  EXPECT_FALSE(result.trial.failed) << result.trial.message;
  EXPECT_TRUE(result.skipped.empty());
}

TEST(Mutants, an_unknown_name_is_refused) {
  MutantOptions options;
  options.names = {"harmless", "no_such_bug"};
  std::string unknown;
  EXPECT_FALSE(run_mutants(options, [](const MutantResult&) { FAIL(); }, unknown));
  EXPECT_EQ(unknown, "no_such_bug");
}

}  // namespace

std::span<const ModuleBug> module_bugs() { return bugs; }
bool choose_seeded_bug(std::string_view) { return true; }

}  // namespace bop::sim

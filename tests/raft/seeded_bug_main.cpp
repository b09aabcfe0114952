// Linked with the variant of the core that can carry bugs (raft/seeded_bugs.h): passes when a scenario or
// the random cluster catches the given bug. Arguments: the bug, the folder of the scenarios.
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

#include "base/assert.h"
#include "raft/seeded_bugs.h"
#include "random_cluster.h"
#include "scenario.h"
#include "tools/checker.h"

namespace {

using namespace bop::raft::model;
using namespace bop::raft::test;

bool scenarios_catch_it(const char* folder) {
  std::vector<std::string> paths;
  for (const auto& file : std::filesystem::directory_iterator(folder))
    paths.push_back(file.path().string());
  std::sort(paths.begin(), paths.end());
  int caught = 0;
  for (const std::string& path : paths) {
    try {
      run_scenario(path);
    } catch (const Violation& violation) {
      if (++caught <= 3) std::printf("caught by %s\n", violation.what());
    }
  }
  if (caught > 3) std::printf("caught by %d more scenarios\n", caught - 3);
  return caught > 0;
}

bool random_cluster_catches_it(uint64_t seeds) {
  for (uint64_t seed = 1; seed <= seeds; ++seed) {
    try {
      run_random_cluster(seed);
    } catch (const Violation& violation) {
      std::printf("seen with seed %llu: %s\n", static_cast<unsigned long long>(seed),
                  violation.what());
      return true;
    }
  }
  std::printf("not seen with %llu seeds\n", static_cast<unsigned long long>(seeds));
  return false;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3 || !bop::raft::choose_bug(argv[1])) return 2;
  bop::set_assert_handler(throw_on_assert);
  const bool by_scenario = scenarios_catch_it(argv[2]);
  const bool by_chance = random_cluster_catches_it(by_scenario ? 20 : 400);
  return by_scenario || by_chance ? 0 : 1;
}

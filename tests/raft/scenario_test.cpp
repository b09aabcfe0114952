// One test for each file in scenarios/, with the file's name.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include "base/assert.h"
#include "scenario.h"
#include "tools/checker.h"

namespace bop::raft::test {

using namespace model;

namespace {

std::vector<std::string> scenarios() {
  std::vector<std::string> paths;
  for (const auto& file : std::filesystem::directory_iterator(BOP_RAFT_SCENARIOS))
    if (file.path().extension() == ".txt") paths.push_back(file.path().string());
  std::sort(paths.begin(), paths.end());
  return paths;
}

std::string name_of_file(const testing::TestParamInfo<std::string>& info) {
  return std::filesystem::path(info.param).stem().string();
}

class Scenario : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override { set_assert_handler(throw_on_assert); }
  void TearDown() override { set_assert_handler(nullptr); }
};

TEST_P(Scenario, plays) {
  try {
    run_scenario(GetParam());
  } catch (const Violation& violation) {
    FAIL() << violation.what();
  }
}

INSTANTIATE_TEST_SUITE_P(Raft, Scenario, testing::ValuesIn(scenarios()), name_of_file);

}  // namespace

}  // namespace bop::raft::test

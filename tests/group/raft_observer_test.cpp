#include "group/raft_observer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "base/logging.h"

namespace bop::group {
namespace {

// A group of one, whose replica elects itself and stops leading when its log falls behind.
class RaftObserverTest : public testing::Test {
 protected:
  RaftObserverTest() {
    raft::Restored restored;
    restored.configuration.configuration.voters = {1};
    raft::Config config;
    config.self = 1;
    core_ = std::make_unique<raft::Core>(config, restored, 0);
  }
  ~RaftObserverTest() override { logging::stop(); }

  void log_at(logging::Level level) {
    ASSERT_TRUE(logging::start(
        {.level = level, .sink = [this](logging::Level of, std::string_view text) {
           lines_.push_back(std::string(logging::name_of(of)) + " " + std::string(text));
         }}));
  }
  void step(RaftObserver& observer, const std::vector<raft::Event>& events) {
    core_->step(0, 0, events, update_);
    observer.observe(*core_, update_.records);
  }
  void run(RaftObserver& observer) {
    step(observer, {});
    while (update_.mark.number != 0) step(observer, {raft::Persisted{update_.mark}});
    step(observer, {raft::Health{false}});
  }
  bool logged(const std::string& line) const {
    return std::ranges::find(lines_, line) != lines_.end();
  }

  std::unique_ptr<raft::Core> core_;
  raft::Update update_;
  std::vector<std::string> lines_;
};

TEST_F(RaftObserverTest, logs_roles_at_info_and_everything_else_at_debug) {
  log_at(logging::Level::debug);
  RaftObserver observer(1, "kv", nullptr);
  run(observer);
  EXPECT_TRUE(logged("debug node 1, group kv, term 0: configuration in force: voters 1"));
  EXPECT_TRUE(logged("info node 1, group kv, term 1: leader of term 1: a majority voted for it"));
  EXPECT_TRUE(logged("debug node 1, group kv, term 1: committed entry 1, the first of the term"));
  EXPECT_TRUE(
      logged("info node 1, group kv, term 1: stepped down as leader of term 1: its log does "
             "not keep up with writes"));
}

TEST_F(RaftObserverTest, logs_only_roles_at_level_info) {
  log_at(logging::Level::info);
  RaftObserver observer(1, "kv", nullptr);
  run(observer);
  ASSERT_FALSE(lines_.empty());
  for (const std::string& line : lines_) EXPECT_TRUE(line.starts_with("info ")) << line;
}

TEST_F(RaftObserverTest, counts_by_cause) {
  metrics::Registry registry;
  RaftObserver observer(1, "kv", &registry);
  const auto shows = [&](const std::string& line) {
    EXPECT_NE(registry.text().find("\n" + line + "\n"), std::string::npos) << line << " is not in\n"
                                                                           << registry.text();
  };
  shows(R"(bop_raft_elections_total{group="kv",cause="election_timeout"} 0)");
  run(observer);
  shows(R"(bop_raft_elections_total{group="kv",cause="election_timeout"} 1)");
  shows(R"(bop_raft_elections_won_total{group="kv"} 1)");
  shows(R"(bop_raft_leader_changes_total{group="kv",cause="unhealthy"} 1)");
  shows(R"(bop_raft_leader_changes_total{group="kv",cause="quorum_lost"} 0)");
}

}  // namespace
}  // namespace bop::group

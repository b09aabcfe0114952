#include "tools/quorum.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <vector>

#include "raft/change.h"
#include "raft/majority.h"

namespace bop::tools {
namespace {

using raft::Change;
using raft::Configuration;
using Ids = std::vector<NodeId>;

TEST(Quorum, answers_each_line_of_the_file) {
  std::ifstream file(BOP_QUORUM_LINES);
  std::string line;
  std::string answer;
  size_t answers = 0;
  while (std::getline(file, line)) {
    if (line.empty() || line.starts_with("#")) continue;
    if (line.starts_with("= ")) {
      EXPECT_EQ("= " + answer, line);
      ++answers;
      continue;
    }
    SCOPED_TRACE(line);
    const auto given = quorum_line(line);
    ASSERT_TRUE(given) << line << ": " << given.error().to_string();
    answer = *given;
  }
  EXPECT_GT(answers, 50u);
}

TEST(Quorum, a_line_outside_the_grammar_is_refused_with_its_column) {
  for (const auto& [line, words] : std::map<std::string, std::string>{
           {"", "committed, vote or change at column 1"},
           {"elect voters (1)", "committed, vote or change at column 1"},
           {"committed", "\"voters\" at column 10"},
           {"committed voters (1,2", "\")\" at column 22"},
           {"committed voters (1) acks 1:2", "\"=\" at column 28"},
           {"committed voters (1) acks 1=x", "a number at column 29"},
           {"committed voters (99999999999999999999)", "a number"},
           {"vote voters (1) maybe 1", "the end of the line at column 17"},
           {"change from voters (1) add-voter 2", "\":\" at column 24"},
           {"change from voters (1) : grow 2", "a change at column 26"},
           {"change from voters (1) : add-voter", "a number at column 35"},
       }) {
    const auto answer = quorum_line(line);
    ASSERT_FALSE(answer) << line;
    EXPECT_EQ(answer.error().code, BOP_E_INVALID_ARGUMENT);
    EXPECT_NE(answer.error().detail.find(words), std::string::npos)
        << line << ": " << answer.error().detail;
  }
}

// ---- by brute force ----

Ids subset(uint32_t bits) {
  Ids out;
  for (NodeId id = 1; bits != 0; ++id, bits >>= 1)
    if ((bits & 1) != 0) out.push_back(id);
  return out;
}

bool has_majority(const Ids& voters, const Ids& of) {
  const auto count = std::ranges::count_if(
      voters, [&](NodeId voter) { return std::ranges::binary_search(of, voter); });
  return voters.empty() || 2 * static_cast<size_t>(count) > voters.size();
}

bool decides(const Configuration& configuration, const Ids& nodes) {
  return has_majority(configuration.voters, nodes) && has_majority(configuration.outgoing, nodes);
}

// With every combination of two halves of up to four nodes and of acknowledged indexes up to 3.
TEST(Quorum, what_is_committed_is_what_a_majority_of_each_half_has) {
  size_t checked = 0;
  for (uint32_t in = 1; in < 16; ++in)
    for (uint32_t out = 0; out < 16; ++out)
      for (uint32_t acks = 0; acks < 256; ++acks) {
        const Configuration configuration{subset(in), {}, subset(out)};
        const auto ack = [acks](NodeId node) { return Index{acks >> 2 * (node - 1) & 3}; };
        Index expected = 0;
        for (Index index = 1; index <= 3; ++index) {
          Ids have;
          for (NodeId node = 1; node <= 4; ++node)
            if (ack(node) >= index) have.push_back(node);
          if (decides(configuration, have)) expected = index;
        }
        ASSERT_EQ(raft::committed_index(configuration, ack), expected);
        ++checked;
      }
  EXPECT_EQ(checked, 15u * 16 * 256);
}

TEST(Quorum, a_vote_is_won_or_lost_when_no_further_answer_can_change_it) {
  for (uint32_t in = 1; in < 16; ++in)
    for (uint32_t out = 0; out < 16; ++out)
      for (uint32_t yes = 0; yes < 16; ++yes)
        for (uint32_t no = 0; no < 16; ++no) {
          if ((yes & no) != 0) continue;
          const Configuration configuration{subset(in), {}, subset(out)};
          const auto result = raft::count_votes(configuration, [&](NodeId node) {
            if ((yes >> (node - 1) & 1) != 0) return raft::Answer::yes;
            return (no >> (node - 1) & 1) != 0 ? raft::Answer::no : raft::Answer::missing;
          });
          const bool won = decides(configuration, subset(yes));
          const bool lost = !decides(configuration, subset(~no & 15));
          const auto expected = won    ? raft::VoteResult::won
                                : lost ? raft::VoteResult::lost
                                       : raft::VoteResult::pending;
          ASSERT_EQ(result, expected);
        }
}

// Two leaders of one term, or a lost entry, need two majorities without a common node.
TEST(Quorum, each_majority_before_a_change_meets_each_one_after_it) {
  const auto meet = [](const Configuration& a, const Configuration& b) {
    for (uint32_t nodes = 0; nodes < 32; ++nodes)
      if (decides(a, subset(nodes)) && decides(b, subset(~nodes & 31))) return false;
    return true;
  };
  size_t joint = 0;
  for (uint32_t from = 1; from < 32; ++from)
    for (uint32_t to = 1; to < 32; ++to) {
      const Configuration before{subset(from), {}, {}};
      std::vector<Change> changes;
      for (NodeId node = 1; node <= 5; ++node) {
        const bool votes = (to >> (node - 1) & 1) != 0;
        changes.push_back({votes ? Change::Kind::add_voter : Change::Kind::remove, node});
      }
      const auto next = raft::changed(before, changes);
      ASSERT_TRUE(next);
      EXPECT_EQ(next->voters, subset(to));
      EXPECT_TRUE(meet(before, *next)) << from << " to " << to;
      if (!next->joint()) continue;
      ++joint;
      const Change leave{Change::Kind::leave, 0};
      const auto last = raft::changed(*next, {&leave, 1});
      ASSERT_TRUE(last);
      EXPECT_EQ(*last, (Configuration{subset(to), {}, {}}));
      EXPECT_TRUE(meet(*next, *last)) << from << " to " << to;
      const Change cancel{Change::Kind::cancel, 0};
      EXPECT_EQ(*raft::changed(*next, {&cancel, 1}), before);
    }
  EXPECT_GT(joint, 500u);
}

}  // namespace
}  // namespace bop::tools

#include "tools/scenario.h"

#include <gtest/gtest.h>

#include <map>

namespace bop::tools {
namespace {

std::string printed_by(std::string_view text) {
  std::string printed;
  run_scenario(text, printed, nullptr);
  return printed;
}

std::string failure_of(std::string_view text) {
  try {
    printed_by(text);
  } catch (const ScenarioFailure& failure) {
    return failure.what();
  }
  return "";
}

std::string syntax_error_of(std::string_view text) {
  try {
    printed_by(text);
  } catch (const ScenarioSyntax& error) {
    return error.what();
  }
  return "";
}

TEST(Scenario, prints_what_is_asked_for_and_nothing_else) {
  EXPECT_EQ(printed_by("nodes 1 2 3\n"
                       "# a comment\n"
                       "\n"
                       "leader\n"
                       "campaign 2   # the first one\n"
                       "role 2\n"
                       "deliver\n"
                       "leader\n"
                       "term 1\n"
                       "propose 2 some words\n"
                       "deliver\n"
                       "last 3\n"
                       "log 1\n"
                       "config 1\n"),
            "none\npre_candidate\n2\n1\n2\n1:1:noop 1:2:some_words\nvoters 1,2,3\n");
}

TEST(Scenario, the_same_lines_give_the_same_output) {
  const char* const text =
      "nodes 1 2 3 4 5\nshuffle 5\neventually leader within 9000\nleader\nterm leader\n"
      "partition 1 2|3 4 5\neventually leader within 9000\nlive 500\nleader\nlog 3\n";
  EXPECT_EQ(printed_by(text), printed_by(text));
}

TEST(Scenario, an_expectation_that_does_not_hold_names_its_line_and_the_output) {
  EXPECT_EQ(failure_of("nodes 1\ncampaign 1\nrole 1\nexpect leader\n"), "");
  EXPECT_EQ(failure_of("nodes 1\ncampaign 1\nrole 1\nexpect follower\n"),
            "line 4: expected follower, got leader");
  EXPECT_EQ(failure_of("nodes 1 2\nleader\nexpect 1\n"), "line 3: expected 1, got none");
  EXPECT_EQ(failure_of("nodes 1 2 3\nisolate 1\nisolate 2\neventually leader within 3000\n"),
            "line 4: not within 3000 ms: leader; at the end it is none");
}

TEST(Scenario, a_disagreement_fails_unless_it_is_expected) {
  const std::string lines = "nodes 1 2 3\ncampaign 1\ndeliver\nisolate 3\npropose 1 x\ndeliver\n";
  EXPECT_EQ(failure_of(lines + "all-agree\nlast 1\n"),
            "line 8: no: node 3 does not end with entry 2 of the leader");
  EXPECT_EQ(
      failure_of(lines + "all-agree\nexpect no: node 3 does not end with entry 2 of the leader\n"),
      "");
}

TEST(Scenario, outputs_are_compared_without_regard_to_spaces_parentheses_and_empty_lists) {
  EXPECT_EQ(failure_of("nodes 1 2 3\nconfig voters 1 2 learners 3\n"
                       "config 1\nexpect voters (1,2)   learners (3)\n"),
            "");
  EXPECT_EQ(failure_of("nodes 1 2\nconfig 1\nexpect voters (1,2) learners ()\n"), "");
}

TEST(Scenario, a_write_that_is_held_acknowledges_nothing) {
  const std::string lines =
      "nodes 1 2\ncampaign 1\ndeliver\nhold-persist 2\npropose 1 x\ndeliver\n";
  EXPECT_EQ(printed_by(lines + "commit 1\npersist 2\ndeliver\ncommit 1\n"), "1\n2\n");
  EXPECT_EQ(printed_by(lines + "crash 2\nrestart 2\nlast 2\nlive 300\nlast 2\n"), "1\n2\n");
}

TEST(Scenario, refusals_are_printed_by_name) {
  EXPECT_EQ(printed_by("nodes 1 2\npropose 1 x\nread 1\ncampaign 1\ndeliver\nchange 1 leave\n"),
            "refused NOT_LEADER\nrefused UNAVAILABLE\nrefused BAD_CONFIG\n");
}

TEST(Scenario, rewriting_gives_a_text_that_holds) {
  const char* const text =
      "nodes 1 2 3   # three\ncampaign 1\ndeliver\nleader\nexpect 9  # wrong\nterm 1\nconfig 2\n";
  std::string printed;
  std::string rewritten;
  run_scenario(text, printed, &rewritten);
  EXPECT_EQ(rewritten,
            "nodes 1 2 3   # three\ncampaign 1\ndeliver\nleader\nexpect 1  # wrong\nterm 1\n"
            "expect 1\nconfig 2\nexpect voters 1,2,3\n");
  EXPECT_EQ(failure_of(rewritten), "");
}

TEST(Scenario, a_line_outside_the_language_is_refused_with_its_number) {
  for (const auto& [text, words] : std::map<std::string, std::string>{
           {"leader\n", "line 1: nodes stands first"},
           {"nodes\n", "line 1: an argument is missing"},
           {"nodes 1\nnodes 2\n", "line 2: nodes stands first, and once"},
           {"nodes 1 x\n", "\"x\" is not a number"},
           {"nodes 0\n", "0 is not a node id"},
           {"nodes 1\nrole 2\n", "line 2: there is no node 2"},
           {"nodes 1\nfly 1\n", "there is no line \"fly\""},
           {"nodes 1\nrole 1 2\n", "\"2\" is too much"},
           {"nodes 1\nexpect 1\n", "line 2: expect follows a line that prints something"},
           {"nodes 1\nconfig voters 2\n", "there is no node 2"},
           {"nodes 1 2\nconfig voters 1 learners 1\n", "both voter and learner"},
           {"nodes 1\nleader\nconfig voters 1\n", "config stands before"},
           {"nodes 1\neventually leader\n", "eventually CHECK within MS"},
           {"nodes 1\neventually crash 1 within 5\n", "\"crash\" cannot be checked"},
           {"nodes 1\ntick 1 99999999999\n", "more than a day"},
           {"nodes 1\nrestart 1\n", "node 1 is up"},
           {"nodes 1\ncrash 1\npropose 1 x\n", "line 3: node 1 is down"},
           {"nodes 1\nchange 1 grow 2\n", "\"grow\" is not a change"},
           {"nodes 1 2\npartition 1,2\n", "the sides are separated by |"}}) {
    EXPECT_NE(syntax_error_of(text).find(words), std::string::npos)
        << text << ": " << syntax_error_of(text);
  }
}

}  // namespace
}  // namespace bop::tools

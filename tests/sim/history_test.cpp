#include "sim/history.h"

#include <gtest/gtest.h>

namespace bop::sim {
namespace {

using Kind = Operation::Kind;
using Condition = Operation::Condition;
using Outcome = Operation::Outcome;

void expect_round_trip(const Operation& operation) {
  const std::string line = to_json_line(operation);
  EXPECT_EQ(line.find('\n'), std::string::npos);
  const auto history = parse_history(line);
  ASSERT_TRUE(history) << history.error().to_string();
  ASSERT_EQ(history->size(), 1u);
  EXPECT_EQ(history->front(), operation) << line;
}

Operation put() {
  Operation operation;
  operation.client = 7;
  operation.key = "a";
  operation.kind = Kind::put;
  operation.value = "1";
  operation.invoked = 10;
  operation.returned = 20;
  operation.outcome = Outcome::ok;
  return operation;
}

TEST(History, every_field_comes_back_from_its_line) {
  Operation operation = put();
  operation.condition = Condition::value;
  operation.expected = "0";
  operation.seen = Operation::Seen{true, "0", 4};
  operation.revision = 5;
  expect_round_trip(operation);
  operation.condition = Condition::revision;
  operation.expected.clear();
  operation.expected_revision = 4;
  operation.seen = Operation::Seen{false, {}, 0};
  operation.outcome = Outcome::condition_failed;
  expect_round_trip(operation);
  operation = put();
  operation.kind = Kind::add;
  operation.value.clear();
  operation.delta = -3;
  operation.result = -9;
  expect_round_trip(operation);
}

TEST(History, an_unknown_outcome_has_no_return) {
  Operation operation = put();
  operation.outcome = Outcome::unknown;
  operation.returned = never;
  expect_round_trip(operation);
}

TEST(History, keys_and_values_are_any_bytes) {
  Operation operation = put();
  operation.key.clear();
  for (int byte = 0; byte < 256; ++byte) operation.key += static_cast<char>(byte);
  operation.value = std::string("\0\n\"\xff", 4);
  expect_round_trip(operation);
}

TEST(History, has_a_line_an_operation_and_may_have_empty_ones) {
  const std::string line = to_json_line(put());
  const auto history = parse_history(line + "\n\n  \r\n" + line + "\r\n" + line);
  ASSERT_TRUE(history) << history.error().to_string();
  EXPECT_EQ(history->size(), 3u);
  EXPECT_TRUE(parse_history("")->empty());
}

void expect_refused(const std::string& second_line, const std::string& word) {
  const auto history = parse_history(to_json_line(put()) + "\n" + second_line);
  ASSERT_FALSE(history) << second_line;
  EXPECT_EQ(history.error().code, BOP_E_PROTOCOL);
  EXPECT_NE(history.error().detail.find("line 2: "), std::string::npos) << history.error().detail;
  EXPECT_NE(history.error().detail.find(word), std::string::npos) << history.error().detail;
}

TEST(History, what_is_not_of_its_form_is_refused_with_line_and_field) {
  const std::string start = R"({"client":1,"key":"a","op":)";
  expect_refused("nonsense", "JSON");
  expect_refused("[1]", "object");
  expect_refused(R"({"client":1,"op":"get","outcome":"unknown","invoked_ns":1})", "'key'");
  expect_refused(start + R"("steal","outcome":"unknown","invoked_ns":1})", "'op'");
  expect_refused(start + R"("get","outcome":"unknown","invoked_ns":"1"})", "'invoked_ns'");
  expect_refused(start + R"("get","outcome":"ok","invoked_ns":1})", "'returned_ns'");
  expect_refused(start + R"("get","outcome":"ok","invoked_ns":2,"returned_ns":1})", "before");
  expect_refused(start + R"("put","outcome":"unknown","invoked_ns":1})", "'value'");
  expect_refused(start + R"("get","outcome":"unknown","invoked_ns":1,"valeu":"x"})", "'valeu'");
  expect_refused(start + R"("get","outcome":"unknown","invoked_ns":1,"if":"absent"})", "'if'");
  expect_refused(
      start + R"("get","outcome":"ok","invoked_ns":1,"returned_ns":1,"seen":{"value":"x"}})",
      "'present'");
  expect_refused(R"({"client":1,"key":"\u0100","op":"get","outcome":"unknown","invoked_ns":1})",
                 "U+00FF");
}

}  // namespace
}  // namespace bop::sim

#include "sim/linearizability.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <vector>

#include "base/random.h"

namespace bop::sim {
namespace {

using Kind = Operation::Kind;
using Condition = Operation::Condition;
using Outcome = Operation::Outcome;
using History = std::vector<Operation>;

Operation at(Instant invoked, Instant returned, Kind kind) {
  Operation operation;
  operation.key = "k";
  operation.kind = kind;
  operation.invoked = invoked;
  operation.returned = returned;
  operation.outcome = returned == never ? Outcome::unknown : Outcome::ok;
  return operation;
}

Operation get(Instant invoked, Instant returned, std::string value) {
  Operation operation = at(invoked, returned, Kind::get);
  operation.seen = Operation::Seen{true, std::move(value), 0};
  return operation;
}

Operation get_absent(Instant invoked, Instant returned) {
  Operation operation = at(invoked, returned, Kind::get);
  operation.seen = Operation::Seen{};
  return operation;
}

Operation put(Instant invoked, Instant returned, std::string value) {
  Operation operation = at(invoked, returned, Kind::put);
  operation.value = std::move(value);
  return operation;
}

Operation put_if(Instant invoked, Instant returned, std::string expected, std::string value,
                 Outcome outcome = Outcome::ok) {
  Operation operation = put(invoked, returned, std::move(value));
  operation.condition = Condition::value;
  operation.expected = std::move(expected);
  operation.outcome = outcome;
  return operation;
}

Operation remove(Instant invoked, Instant returned, bool existed) {
  Operation operation = at(invoked, returned, Kind::remove);
  operation.seen = Operation::Seen{existed, {}, 0};
  return operation;
}

Operation add(Instant invoked, Instant returned, int64_t delta, int64_t result) {
  Operation operation = at(invoked, returned, Kind::add);
  operation.delta = delta;
  if (returned != never) operation.result = result;
  return operation;
}

Operation append(Instant invoked, Instant returned, std::string value, int64_t length) {
  Operation operation = at(invoked, returned, Kind::append);
  operation.value = std::move(value);
  if (returned != never) operation.result = length;
  return operation;
}

void expect_good(const History& history) {
  const CheckResult result = check_history(history);
  EXPECT_EQ(result.verdict, Verdict::linearizable) << result.why;
}

void expect_bad(const History& history, size_t operation) {
  const CheckResult result = check_history(history);
  ASSERT_EQ(result.verdict, Verdict::violated);
  EXPECT_EQ(result.operation, operation) << result.why;
  EXPECT_EQ(result.key, "k");
  EXPECT_NE(result.why.find(describe(history[operation])), std::string::npos);
}

TEST(Linearizability, an_empty_history_is_linearizable) { expect_good({}); }

TEST(Linearizability, a_read_after_a_write_sees_it) {
  expect_good({put(0, 10, "a"), get(20, 30, "a")});
}

TEST(Linearizability, a_read_before_any_write_sees_nothing) {
  expect_good({get_absent(0, 1), put(2, 3, "a")});
  expect_bad({get(0, 1, "a"), put(2, 3, "a")}, 0);
}

TEST(Linearizability, a_lost_write_is_found) {
  expect_bad({put(0, 10, "a"), get_absent(20, 30)}, 1);
}

TEST(Linearizability, a_stale_read_is_found) {
  expect_bad({put(0, 10, "a"), put(20, 30, "b"), get(40, 50, "a")}, 2);
}

TEST(Linearizability, a_read_beside_a_write_may_see_either) {
  expect_good({put(0, 10, "a"), put(20, 50, "b"), get(30, 40, "a")});
  expect_good({put(0, 10, "a"), put(20, 50, "b"), get(30, 40, "b")});
}

TEST(Linearizability, two_reads_beside_a_write_do_not_go_back_in_time) {
  expect_good({put(0, 10, "a"), put(20, 90, "b"), get(30, 40, "a"), get(50, 60, "b")});
  expect_bad({put(0, 10, "a"), put(20, 90, "b"), get(30, 40, "b"), get(50, 60, "a")}, 3);
}

TEST(Linearizability, operations_that_touch_at_one_instant_overlap) {
  expect_good({put(0, 10, "a"), get_absent(10, 20)});
}

TEST(Linearizability, readers_must_agree_on_the_order_of_two_writes) {
  const auto history = [](const char* first, const char* second) {
    return History{put(0, 100, "a"), put(0, 100, "b"),   get(10, 20, "a"),
                   get(30, 40, "b"), get(50, 60, first), get(70, 80, second)};
  };
  expect_good(history("b", "b"));
  expect_bad(history("b", "a"), 5);
}

TEST(Linearizability, the_order_of_the_history_does_not_matter) {
  expect_bad({get(40, 50, "a"), put(20, 30, "b"), put(0, 10, "a")}, 0);
}

TEST(Linearizability, keys_are_checked_apart) {
  History history{put(0, 10, "a"), get(20, 30, "a")};
  history[1].key = "other";
  const CheckResult result = check_history(history);
  EXPECT_EQ(result.verdict, Verdict::violated);
  EXPECT_EQ(result.key, "other");
  EXPECT_EQ(result.keys, 2u);
}

TEST(UnknownOutcome, may_have_taken_effect_or_not) {
  expect_good({put(0, 10, "a"), put(20, never, "b"), get(30, 40, "a")});
  expect_good({put(0, 10, "a"), put(20, never, "b"), get(30, 40, "b")});
}

TEST(UnknownOutcome, may_take_effect_long_afterwards) {
  expect_good({put(0, 1, "a"), put(2, never, "b"), get(10, 11, "a"), put(20, 21, "c"),
               get(30, 31, "c"), get(40, 41, "b")});
}

TEST(UnknownOutcome, takes_effect_at_most_once) {
  expect_bad(
      {put(0, 1, "a"), put(2, never, "b"), get(10, 11, "b"), put(20, 21, "c"), get(30, 31, "b")},
      4);
}

TEST(UnknownOutcome, does_not_take_effect_before_it_was_asked_for) {
  expect_bad({put(0, 1, "a"), get(10, 11, "b"), put(20, never, "b")}, 1);
}

TEST(UnknownOutcome, of_a_condition_that_did_not_hold_changes_nothing) {
  Operation unknown = put_if(2, never, "z", "b", Outcome::unknown);
  expect_bad({put(0, 1, "a"), unknown, get(10, 11, "b")}, 2);
  expect_good({put(0, 1, "a"), unknown, get(10, 11, "a")});
}

TEST(UnknownOutcome, of_an_increment_counts_once_or_not_at_all) {
  expect_good({add(0, 1, 1, 1), add(2, never, 1, 0), add(10, 11, 1, 2)});
  expect_good({add(0, 1, 1, 1), add(2, never, 1, 0), add(10, 11, 1, 3)});
  expect_bad({add(0, 1, 1, 1), add(2, never, 1, 0), add(10, 11, 1, 4)}, 2);
}

TEST(UnknownOutcome, many_of_them_cost_little) {
  History history;
  for (int i = 0; i < 100; ++i) {
    history.push_back(put(i * 10, never, "lost" + std::to_string(i)));
    history.push_back(put(i * 10 + 1, i * 10 + 2, "kept" + std::to_string(i)));
    history.push_back(get(i * 10 + 3, i * 10 + 4, "kept" + std::to_string(i)));
  }
  const CheckResult result = check_history(history);
  EXPECT_EQ(result.verdict, Verdict::linearizable) << result.why;
  EXPECT_LT(result.peak_configurations, 1000u);
}

TEST(CompareAndSet, holds_only_on_the_expected_value) {
  expect_good({put(0, 1, "a"), put_if(2, 3, "a", "b"), get(4, 5, "b")});
  expect_bad({put(0, 1, "a"), put_if(2, 3, "x", "b")}, 1);
  expect_good({put(0, 1, "a"), put_if(2, 3, "x", "b", Outcome::condition_failed), get(4, 5, "a")});
  expect_bad({put(0, 1, "a"), put_if(2, 3, "a", "b", Outcome::condition_failed)}, 1);
}

TEST(CompareAndSet, is_won_by_one_of_two) {
  expect_good({put(0, 1, "a"), put_if(2, 10, "a", "b"),
               put_if(2, 10, "a", "c", Outcome::condition_failed)});
  expect_bad({put(0, 1, "a"), put_if(2, 10, "a", "b"), put_if(2, 11, "a", "c")}, 2);
}

TEST(CompareAndSet, that_failed_tells_the_record_as_it_was) {
  Operation failed = put_if(2, 3, "x", "b", Outcome::condition_failed);
  failed.seen = Operation::Seen{true, "a", 0};
  expect_good({put(0, 1, "a"), failed});
  expect_bad({put(0, 1, "other"), failed}, 1);
}

TEST(Conditions, of_presence_hold_as_the_record_is) {
  Operation if_absent = put(2, 3, "b");
  if_absent.condition = Condition::absent;
  Operation if_present = if_absent;
  if_present.condition = Condition::present;
  expect_good({if_absent});
  expect_bad({put(0, 1, "a"), if_absent}, 1);
  expect_good({put(0, 1, "a"), if_present});
  expect_bad({if_present}, 0);
}

TEST(Removal, tells_whether_there_was_a_record) {
  expect_good({remove(0, 1, false), put(2, 3, "a"), remove(4, 5, true), get_absent(6, 7)});
  expect_bad({remove(0, 1, true)}, 0);
  expect_bad({put(0, 1, "a"), remove(4, 5, true), get(6, 7, "a")}, 2);
}

TEST(Numbers, count_and_refuse_what_is_none) {
  Operation wrong = add(2, 3, 1, 0);
  wrong.result.reset();
  wrong.outcome = Outcome::wrong_type;
  expect_good({put(0, 1, "seven"), wrong, get(4, 5, "seven")});
  expect_good({put(0, 1, "007"), wrong});
  expect_bad({put(0, 1, "7"), wrong}, 1);
  expect_good({put(0, 1, "7"), add(2, 3, -8, -1), get(4, 5, "-1")});
  Operation overflow = wrong;
  overflow.outcome = Outcome::overflow;
  expect_good({put(0, 1, "9223372036854775807"), overflow});
  expect_bad({put(0, 1, "1"), overflow}, 1);
}

TEST(Appending, tells_the_new_length) {
  expect_good({append(0, 1, "ab", 2), append(2, 3, "c", 3), get(4, 5, "abc")});
  expect_bad({append(0, 1, "ab", 2), append(2, 3, "c", 2)}, 1);
}

TEST(Appending, two_at_once_happen_in_either_order_but_one) {
  const History both{append(0, 10, "a", 1), append(0, 10, "b", 2)};
  History right = both;
  right.push_back(get(20, 30, "ab"));
  expect_good(right);
  History wrong = both;
  wrong.push_back(get(20, 30, "ba"));
  expect_bad(wrong, 2);
}

TEST(Revisions, of_a_read_must_be_those_of_the_write) {
  Operation write = put(0, 1, "a");
  write.revision = 5;
  Operation read = get(2, 3, "a");
  read.seen->revision = 5;
  expect_good({write, read});
  read.seen->revision = 6;
  expect_bad({write, read}, 1);
}

TEST(Revisions, once_seen_stay) {
  Operation first = get(2, 3, "a");
  first.seen->revision = 5;
  Operation second = get(4, 5, "a");
  second.seen->revision = 6;
  expect_bad({put(0, 1, "a"), first, second}, 2);
  // A write between them that nobody heard back from explains it.
  expect_good({put(0, 1, "a"), put(1, never, "a"), first, second});
}

TEST(Revisions, as_conditions_hold_for_the_record_of_that_revision) {
  Operation write = put(0, 1, "a");
  write.revision = 5;
  Operation change = put(2, 3, "b");
  change.condition = Condition::revision;
  change.expected_revision = 5;
  expect_good({write, change});
  change.expected_revision = 4;
  expect_bad({write, change}, 1);
  change.outcome = Outcome::condition_failed;
  expect_good({write, change});
  change.expected_revision = 0;  // must be absent
  change.outcome = Outcome::ok;
  expect_good({change});
  expect_bad({write, change}, 1);
}

TEST(CheckLimits, say_undecided_rather_than_use_memory_without_end) {
  History history;
  for (int i = 0; i < 40; ++i) history.push_back(append(0, 100, std::string(1, 'a' + i % 20), 0));
  for (Operation& operation : history) operation.result.reset();
  CheckLimits limits;
  limits.max_configurations = 1000;
  const CheckResult result = check_history(history, limits);
  EXPECT_EQ(result.verdict, Verdict::undecided);
  EXPECT_EQ(result.key, "k");
}

TEST(CheckLimits, a_violation_elsewhere_is_still_found) {
  History history;
  for (int i = 0; i < 40; ++i) history.push_back(append(0, 100, std::string(1, 'a' + i % 20), 0));
  for (Operation& operation : history) operation.result.reset();
  history.push_back(get(0, 1, "never written"));
  history.back().key = "z";
  CheckLimits limits;
  limits.max_configurations = 1000;
  const CheckResult result = check_history(history, limits);
  EXPECT_EQ(result.verdict, Verdict::violated);
  EXPECT_EQ(result.key, "z");
}

// ---- against a checker that tries every order ----

struct Model {
  bool present = false;
  std::string value;
};

// Executes on the model and fills in the answer.
Operation answered(Operation operation, Model& model) {
  operation.outcome = Outcome::ok;
  if (operation.condition == Condition::value &&
      !(model.present && model.value == operation.expected)) {
    operation.outcome = Outcome::condition_failed;
    return operation;
  }
  switch (operation.kind) {
    case Kind::get: operation.seen = Operation::Seen{model.present, model.value, 0}; break;
    case Kind::put: model = {true, operation.value}; break;
    case Kind::remove:
      operation.seen = Operation::Seen{model.present, {}, 0};
      model = {};
      break;
    case Kind::append:
      model = {true, (model.present ? model.value : "") + operation.value};
      operation.result = static_cast<int64_t>(model.value.size());
      break;
    case Kind::add: break;
  }
  return operation;
}

bool same_answer(const Operation& a, const Operation& b) {
  if (a.outcome != b.outcome || a.result != b.result || a.seen.has_value() != b.seen.has_value()) {
    return false;
  }
  return !a.seen || (a.seen->present == b.seen->present &&
                     (!a.seen->present || a.seen->value == b.seen->value));
}

Operation question(const Operation& operation) {
  Operation bare = operation;
  bare.seen.reset();
  bare.result.reset();
  return bare;
}

bool some_order(const History& history, std::vector<bool>& used, const Model& model) {
  Instant earliest_return = never;
  bool all = true;
  for (size_t i = 0; i < history.size(); ++i) {
    if (used[i] || history[i].outcome == Outcome::unknown) continue;
    all = false;
    earliest_return = std::min(earliest_return, history[i].returned);
  }
  if (all) return true;
  for (size_t i = 0; i < history.size(); ++i) {
    if (used[i] || history[i].invoked > earliest_return) continue;
    Model after = model;
    const Operation answer = answered(question(history[i]), after);
    if (history[i].outcome != Outcome::unknown && !same_answer(answer, history[i])) continue;
    used[i] = true;
    if (some_order(history, used, after)) return true;
    used[i] = false;
  }
  return false;
}

bool by_brute_force(const History& history) {
  std::vector<bool> used(history.size(), false);
  return some_order(history, used, {});
}

Operation random_question(Random& random) {
  static constexpr std::array kinds{Kind::get, Kind::put, Kind::remove, Kind::append, Kind::get};
  Operation operation = at(0, 0, kinds[random.below(kinds.size())]);
  operation.value = std::string(1, static_cast<char>('a' + random.below(3)));
  if (operation.kind == Kind::put && random.chance(1, 2)) {
    operation.condition = Condition::value;
    operation.expected = std::string(1, static_cast<char>('a' + random.below(3)));
  }
  return operation;
}

// Executed one after the other, each somewhere within its time; then some answers lost.
History random_history(Random& random, size_t size) {
  History history;
  Model model;
  for (size_t i = 0; i < size; ++i) {
    Operation operation = answered(random_question(random), model);
    const auto executed = static_cast<Instant>(i) * 10;
    operation.client = i;
    operation.invoked = std::max<Instant>(0, executed - random.between(0, 25));
    operation.returned = executed + random.between(0, 25);
    if (random.chance(1, 5)) {
      operation = question(operation);
      operation.outcome = Outcome::unknown;
      operation.returned = never;
    }
    history.push_back(operation);
  }
  return history;
}

TEST(Linearizability, what_was_executed_in_some_order_is_linearizable) {
  Random random(1);
  for (int i = 0; i < 2000; ++i) {
    const CheckResult result = check_history(random_history(random, 20));
    ASSERT_EQ(result.verdict, Verdict::linearizable) << "history " << i << ": " << result.why;
  }
}

TEST(Linearizability, the_verdict_is_that_of_trying_every_order) {
  Random random(2);
  int bad = 0;
  constexpr int histories = 4000;
  for (int i = 0; i < histories; ++i) {
    History history = random_history(random, 7);
    // Exchange two answers of like operations, or change what one saw.
    Operation& one = history[random.below(history.size())];
    if (one.seen && one.seen->value && one.seen->present)
      one.seen->value = std::string(1, 'a' + random.below(3));
    if (one.result) one.result = *one.result + random.between(-1, 1);
    if (one.outcome == Outcome::condition_failed && random.chance(1, 2)) one.outcome = Outcome::ok;
    const bool good = by_brute_force(history);
    bad += good ? 0 : 1;
    const CheckResult result = check_history(history);
    ASSERT_EQ(result.verdict, good ? Verdict::linearizable : Verdict::violated)
        << "history " << i << ": " << result.why;
  }
  EXPECT_GT(bad, histories / 20);
  EXPECT_LT(bad, histories / 2);
}

}  // namespace
}  // namespace bop::sim

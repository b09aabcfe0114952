// Each operation and query, with its records in each memtable and in the store.
#include <gtest/gtest.h>

#include "kv_replica.h"
#include "machine/kv/store_memory.h"

namespace bop::machine::kv::test {
namespace {

// Where the initial records of a test are.
enum class Where { active, immutable, flushed, store };

class Kv : public testing::TestWithParam<Where> {
 protected:
  Kv() : image_(std::make_shared<StoreImage>()), replica_(stores(), {}) {
    EXPECT_TRUE(replica_.open()) << replica_.open_error.to_string();
  }

  StoreFactory stores() {
    return [image = image_](const StoreOptions&) -> Result<std::unique_ptr<Store>> {
      return open_memory_store(image);
    };
  }

  // Executes commands, then moves the records to where the test wants them.
  void given(const std::vector<Op>& operations) {
    ASSERT_EQ(replica_.run(operations).status, BOP_OK);
    switch (GetParam()) {
      case Where::active: return;
      case Where::immutable:  // sorted, not flushed: nothing is stable
        replica_.driver().sync();
        replica_.finish();
        return;
      case Where::flushed: return replica_.flush();
      case Where::store:
        replica_.flush();
        replica_.crash();
        ASSERT_TRUE(replica_.open());
        return;
    }
  }

  Reply run(const std::vector<Op>& operations) { return replica_.run(operations); }
  Item only_item(const std::vector<Op>& operations) {
    const Reply reply = run(operations);
    const Answer answer = read_answer(reply.body);
    EXPECT_EQ(answer.items.size(), 1u);
    return answer.items.at(0);
  }
  Item record(const std::string& key) {
    return read_answer(replica_.ask(get({key})).body).items.at(0);
  }
  uint64_t records() {
    const uint64_t token = replica_.ask_later(count());
    replica_.finish();
    // The flush of an immutable memtable finds the stored versions.
    if (!replica_.answers.contains(token)) {
      replica_.make_stable();
      replica_.finish();
    }
    return read_count(replica_.answers.at(token).body).records;
  }
  std::vector<std::string> keys(std::string_view first, std::string_view end, uint32_t limit,
                                uint16_t flags = 0) {
    std::vector<std::string> out;
    for (const auto& [key, item] :
         read_range(replica_.ask(range(first, end, limit, flags)).body).records)
      out.push_back(key);
    return out;
  }

  std::shared_ptr<StoreImage> image_;
  Replica replica_;
};

std::string name_of(const testing::TestParamInfo<Where>& info) {
  constexpr const char* names[] = {"active", "immutable", "flushed", "store"};
  return names[static_cast<size_t>(info.param)];
}
INSTANTIATE_TEST_SUITE_P(From, Kv,
                         testing::Values(Where::active, Where::immutable, Where::flushed,
                                         Where::store),
                         name_of);

using Keys = std::vector<std::string>;

TEST_P(Kv, a_put_record_is_read_with_its_index_as_revision) {
  given({put("k", "v")});
  EXPECT_EQ(record("k"), (Item{true, 1, "v"}));
  EXPECT_EQ(record("other"), Item{});
}

TEST_P(Kv, a_plain_put_does_not_report_the_previous_record) {
  given({put("k", "v")});
  EXPECT_EQ(only_item({put("k", "w")}), Item{});
  EXPECT_EQ(record("k"), (Item{true, 2, "w"}));
}

TEST_P(Kv, a_put_with_want_existed_reports_whether_the_record_existed) {
  given({put("k", "v")});
  EXPECT_EQ(only_item({put("k", "w", BOP_KV_WANT_EXISTED)}), (Item{true, 1, ""}));
  EXPECT_EQ(only_item({put("new", "w", BOP_KV_WANT_EXISTED)}), Item{});
}

TEST_P(Kv, a_put_with_return_previous_returns_the_previous_record) {
  given({put("k", "v")});
  EXPECT_EQ(only_item({put("k", "w", BOP_KV_RETURN_PREVIOUS)}), (Item{true, 1, "v"}));
  EXPECT_EQ(only_item({put("k", "x", BOP_KV_RETURN_PREVIOUS)}), (Item{true, 2, "w"}));
}

TEST_P(Kv, a_deleted_record_is_absent_and_its_delete_reports_that_it_existed) {
  given({put("k", "v"), put("l", "w")});
  EXPECT_EQ(only_item({erase("k")}), (Item{true, 1, ""}));
  EXPECT_EQ(record("k"), Item{});
  EXPECT_EQ(only_item({erase("k")}), Item{});
  EXPECT_EQ(records(), 1u);
}

TEST_P(Kv, if_absent_keeps_an_existing_record_and_returns_it) {
  given({put("k", "v")});
  const Reply reply = run({put("k", "w", BOP_KV_IF_ABSENT)});
  EXPECT_EQ(reply.status, BOP_E_CONDITION_FAILED);
  const Answer answer = read_answer(reply.body);
  EXPECT_EQ(answer.index, 0u);
  EXPECT_EQ(answer.items.at(0), (Item{true, 1, "v"}));
  EXPECT_EQ(record("k"), (Item{true, 1, "v"}));
  EXPECT_EQ(run({put("new", "w", BOP_KV_IF_ABSENT)}).status, BOP_OK);
}

TEST_P(Kv, if_present_does_not_create) {
  given({put("k", "v")});
  EXPECT_EQ(run({put("new", "w", BOP_KV_IF_PRESENT)}).status, BOP_E_CONDITION_FAILED);
  EXPECT_EQ(record("new"), Item{});
  EXPECT_EQ(run({put("k", "w", BOP_KV_IF_PRESENT)}).status, BOP_OK);
}

TEST_P(Kv, if_revision_compares_the_index_of_the_last_change) {
  given({put("k", "v")});
  EXPECT_EQ(run({{BOP_KV_PUT, "k", "w", BOP_KV_IF_REVISION, 2, {}}}).status,
            BOP_E_CONDITION_FAILED);
  EXPECT_EQ(run({{BOP_KV_PUT, "k", "w", BOP_KV_IF_REVISION, 1, {}}}).status, BOP_OK);
  EXPECT_EQ(record("k").value, "w");
}

TEST_P(Kv, revision_zero_means_absent) {
  given({put("k", "v")});
  EXPECT_EQ(run({{BOP_KV_PUT, "k", "w", BOP_KV_IF_REVISION, 0, {}}}).status,
            BOP_E_CONDITION_FAILED);
  EXPECT_EQ(run({{BOP_KV_PUT, "new", "w", BOP_KV_IF_REVISION, 0, {}}}).status, BOP_OK);
}

TEST_P(Kv, if_value_compares_the_whole_value) {
  given({put("k", "value")});
  for (const char* wrong : {"", "valu", "values", "VALUE"})
    EXPECT_EQ(run({{BOP_KV_DELETE, "k", "", BOP_KV_IF_VALUE, 0, wrong}}).status,
              BOP_E_CONDITION_FAILED);
  EXPECT_EQ(run({{BOP_KV_DELETE, "k", "", BOP_KV_IF_VALUE, 0, "value"}}).status, BOP_OK);
  EXPECT_EQ(run({{BOP_KV_DELETE, "k", "", BOP_KV_IF_VALUE, 0, "value"}}).status,
            BOP_E_CONDITION_FAILED);
}

TEST_P(Kv, add_counts_from_zero_and_answers_the_new_number) {
  given({put("n", "40")});
  EXPECT_EQ(only_item({add("n", 2)}), (Item{true, 2, "42"}));
  EXPECT_EQ(only_item({add("m", -7)}), (Item{true, 3, "-7"}));
  EXPECT_EQ(record("n").value, "42");
}

TEST_P(Kv, add_refuses_values_that_are_not_numbers_as_redis_stores_them) {
  given({put("a", "4x"), put("b", " 4"), put("c", "+4"), put("d", "04"), put("e", "-0"),
         put("f", ""), put("g", "9223372036854775808"), put("h", "-"),
         put("i", "000000000000000000000000000001")});
  for (const char* key : {"a", "b", "c", "d", "e", "f", "g", "h", "i"}) {
    const Reply reply = run({add(key, 1)});
    EXPECT_EQ(reply.status, BOP_E_WRONG_TYPE) << key;
    EXPECT_TRUE(reply.body.empty());
  }
  EXPECT_EQ(record("a"), (Item{true, 1, "4x"}));
}

TEST_P(Kv, add_refuses_to_overflow_in_both_directions) {
  given({put("high", "9223372036854775807"), put("low", "-9223372036854775808"), put("zero", "0")});
  EXPECT_EQ(run({add("high", 1)}).status, BOP_E_OVERFLOW);
  EXPECT_EQ(run({add("low", -1)}).status, BOP_E_OVERFLOW);
  EXPECT_EQ(only_item({add("high", -1)}).value, "9223372036854775806");
  EXPECT_EQ(only_item({add("zero", -1)}).value, "-1");
}

TEST_P(Kv, append_grows_the_value_and_answers_its_length) {
  given({put("k", "abc")});
  EXPECT_EQ(only_item({append("k", "def")}), (Item{true, 2, number(6)}));
  EXPECT_EQ(only_item({append("new", "")}), (Item{true, 3, number(0)}));
  for (int i = 0; i < 100; ++i)
    run({append("k", std::string(100, static_cast<char>('a' + i % 26)))});
  EXPECT_EQ(record("k").value.size(), 10006u);
  EXPECT_EQ(record("k").value.substr(0, 8), "abcdefaa");
  EXPECT_EQ(record("new"), (Item{true, 3, ""}));
}

TEST_P(Kv, append_refuses_to_pass_the_largest_value) {
  given({put("k", std::string(BOP_KV_VALUE_MAX, 'x'))});
  EXPECT_EQ(run({append("k", "y")}).status, BOP_E_TOO_LARGE);
  EXPECT_EQ(run({append("k", "")}).status, BOP_OK);
  EXPECT_EQ(record("k").value.size(), BOP_KV_VALUE_MAX);
}

TEST_P(Kv, when_one_condition_fails_no_operation_is_executed_and_all_records_are_returned) {
  given({put("a", "1"), put("b", "2")});
  const Reply reply =
      run({put("a", "9"), erase("b"), put("c", "3"), put("b", "4", BOP_KV_IF_PRESENT)});
  EXPECT_EQ(reply.status, BOP_E_CONDITION_FAILED);
  EXPECT_EQ(read_answer(reply.body).items,
            (std::vector<Item>{{true, 1, "1"}, {true, 1, "2"}, {}, {true, 1, "2"}}));
  EXPECT_EQ(record("a"), (Item{true, 1, "1"}));
  EXPECT_EQ(record("b"), (Item{true, 1, "2"}));
  EXPECT_EQ(record("c"), Item{});
}

TEST_P(Kv, when_one_operation_fails_none_is_executed) {
  given({put("a", "1"), put("b", "x")});
  EXPECT_EQ(run({put("a", "9"), add("b", 1)}).status, BOP_E_WRONG_TYPE);
  EXPECT_EQ(record("a"), (Item{true, 1, "1"}));
}

TEST_P(Kv, operations_of_a_command_see_the_effects_of_those_before_them) {
  given({put("k", "5")});
  const Answer answer = read_answer(
      run({add("k", 1, 0), erase("k", BOP_KV_IF_PRESENT), put("k", "a", BOP_KV_IF_ABSENT),
           append("k", "b"), append("k", "c", BOP_KV_RETURN_PREVIOUS)})
          .body);
  EXPECT_EQ(answer.items,
            (std::vector<Item>{
                {true, 2, "6"}, {true, 2, ""}, {}, {true, 2, number(2)}, {true, 2, "ab"}}));
  EXPECT_EQ(record("k"), (Item{true, 2, "abc"}));
}

TEST_P(Kv, a_record_that_a_command_creates_and_deletes_never_existed) {
  given({put("k", "v")});
  EXPECT_EQ(run({put("tmp", "x"), erase("tmp")}).status, BOP_OK);
  EXPECT_EQ(record("tmp"), Item{});
  EXPECT_EQ(records(), 1u);
}

TEST_P(Kv, a_get_of_many_keys_reads_one_state) {
  given({put("a", "1"), put("c", "3")});
  run({put("b", "2")});
  const Answer answer = read_answer(replica_.ask(get({"c", "nothing", "a", "b", "a"})).body);
  EXPECT_EQ(answer.index, 2u);
  EXPECT_EQ(answer.items, (std::vector<Item>{
                              {true, 1, "3"}, {}, {true, 1, "1"}, {true, 2, "2"}, {true, 1, "1"}}));
  EXPECT_EQ(read_answer(replica_.ask(get({"c", "b"}, BOP_KV_KEYS_ONLY)).body).items,
            (std::vector<Item>{{true, 1, ""}, {true, 2, ""}}));
}

TEST_P(Kv, a_range_is_in_order_of_unsigned_bytes_and_leaves_out_its_end) {
  given({put("a", "1"), put("b\x7f", "2"), put("b\xff", "3"), put("ba", "4"), put("c", "5")});
  EXPECT_EQ(keys("", "", 100), (Keys{"a", "ba", "b\x7f", "b\xff", "c"}));
  EXPECT_EQ(keys("b", "c", 100), (Keys{"ba", "b\x7f", "b\xff"}));
  EXPECT_EQ(keys("ba", "b\xff", 100), (Keys{"ba", "b\x7f"}));
  EXPECT_EQ(keys("ba", "c", 100, BOP_KV_AFTER), (Keys{"b\x7f", "b\xff"}));
  EXPECT_EQ(keys("b", "", 100, BOP_KV_PREFIX), (Keys{"ba", "b\x7f", "b\xff"}));
  EXPECT_EQ(keys("x", "", 100), Keys{});
  EXPECT_EQ(keys("c", "a", 100), Keys{});
}

TEST_P(Kv, the_limit_of_a_range_counts_existing_records) {
  given({put("a", "1"), put("b", "2"), put("c", "3"), put("d", "4")});
  run({erase("b"), put("bb", "5")});
  const RangeAnswer two = read_range(replica_.ask(range("", "", 2)).body);
  EXPECT_EQ(two.records.size(), 2u);
  EXPECT_EQ(two.records[1].first, "bb");
  EXPECT_TRUE(two.more);
  const RangeAnswer four = read_range(replica_.ask(range("", "", 4)).body);
  EXPECT_EQ(four.records.size(), 4u);
  EXPECT_FALSE(four.more);
  EXPECT_EQ(keys("bb", "", 1, BOP_KV_AFTER), Keys{"c"});
}

TEST_P(Kv, a_range_of_large_values_ends_at_its_size_limit_and_sets_more) {
  const std::string large(BOP_KV_VALUE_MAX, 'x');
  given({put("a", large), put("b", large)});
  for (const char* key : {"c", "d", "e"}) run({put(key, large)});
  const RangeAnswer answer = read_range(replica_.ask(range("", "", 100)).body);
  EXPECT_EQ(answer.records.size(), 3u);
  EXPECT_TRUE(answer.more);
  const RangeAnswer names = read_range(replica_.ask(range("", "", 100, BOP_KV_KEYS_ONLY)).body);
  EXPECT_EQ(names.records.size(), 5u);
  EXPECT_FALSE(names.more);
}

// Many clients may ask for large answers at once: the machine works on a few at a time, so that neither the memory nor
// what the shard's thread does in one turn depends on their number.
TEST_P(Kv, makes_few_large_answers_at_a_time) {
  const std::string large(BOP_KV_VALUE_MAX, 'x');
  given({put("a", large), put("b", large)});
  run({put("c", large)});
  constexpr uint64_t count = 40;
  std::vector<uint64_t> tokens;
  for (uint64_t i = 0; i < count; ++i)
    tokens.push_back(replica_.ask_later(i % 2 == 0 ? range("", "", 100) : get({"a", "none", "c"})));
  size_t most = 0;
  for (size_t before = replica_.answers.size();
       replica_.offload->step(Replica::WorkQueue::reads);) {
    most = std::max(most, replica_.answers.size() - before);
    before = replica_.answers.size();
  }
  EXPECT_LE(most, 3u) << "answers of 2 or 3 MiB in one turn";
  for (const uint64_t token : tokens) {
    ASSERT_TRUE(replica_.answers.contains(token));
    EXPECT_EQ(replica_.answers[token].status, BOP_OK);
    EXPECT_GT(replica_.answers[token].body.size(), 2u << 20);
  }
  EXPECT_EQ(record("a").value.size(), large.size());
}

TEST_P(Kv, answers_what_its_memtables_have_while_large_answers_wait) {
  const std::string large(BOP_KV_VALUE_MAX, 'x');
  given({put("a", large), put("b", large)});
  run({put("c", large), put("small", "v")});
  for (int i = 0; i < 40; ++i) replica_.ask_later(range("", "", 100));
  const uint64_t token = replica_.ask_later(get({"small"}));
  ASSERT_TRUE(replica_.answers.contains(token));
  EXPECT_EQ(read_answer(replica_.answers[token].body).items.at(0).value, "v");
  replica_.finish();
  EXPECT_EQ(replica_.answers.size(), 41u);
}

TEST_P(Kv, a_range_skips_any_number_of_deleted_records) {
  std::vector<Op> many;
  const auto key = [](int i) { return "key" + std::to_string(100000 + i); };
  for (int i = 0; i < 1000; ++i) many.push_back(put(key(i), "v"));
  given(many);
  for (int round = 1; round < 10; ++round) {
    many.clear();
    for (int i = 0; i < 1000; ++i) many.push_back(put(key(round * 1000 + i), "v"));
    run(many);
  }
  for (int round = 0; round < 10; ++round) {
    many.clear();
    for (int i = 0; i < 1000; ++i)
      if (round * 1000 + i != 9998) many.push_back(erase(key(round * 1000 + i)));
    run(many);
  }
  EXPECT_EQ(keys("", "", 10), Keys{key(9998)});
  EXPECT_EQ(records(), 1u);
}

TEST_P(Kv, applying_waits_while_a_range_needs_several_rounds) {
  std::vector<Op> many;
  const auto key = [](int i) { return "key" + std::to_string(100000 + i); };
  given({put(key(0), "v")});
  for (int round = 0; round < 9; ++round) {
    many.clear();
    for (int i = 0; i < 1000; ++i) many.push_back(put(key(round * 1000 + i), "v"));
    run(many);
  }
  // Both ends change at once, after that many steps of the range's reads.
  bool answered = false;
  for (int steps = 0; !answered; ++steps) {
    run({put(key(0), "v"), put(key(8999), "v")});
    const uint64_t token = replica_.ask_later(range("", "", 9500, BOP_KV_KEYS_ONLY));
    for (int step = 0; step < steps; ++step) replica_.offload->step(Replica::WorkQueue::reads);
    answered = replica_.answers.contains(token);
    run({erase(key(0)), erase(key(8999))});
    const size_t found = read_range(replica_.answers.at(token).body).records.size();
    EXPECT_TRUE(found == 9000 || found == 8998) << found << " after " << steps << " steps";
  }
}

TEST_P(Kv, count_is_exact_although_plain_puts_look_nothing_up) {
  given({put("a", "1"), put("b", "2")});
  run({put("b", "3")});
  run({put("c", "4")});
  EXPECT_EQ(records(), 3u);
  run({erase("a")});
  EXPECT_EQ(records(), 2u);
}

TEST_P(Kv, refused_bytes_change_nothing_but_the_index) {
  given({put("k", "v")});
  auto broken = command({put("k", "w")});
  broken.pop_back();
  EXPECT_EQ(replica_.run(broken).status, BOP_E_PROTOCOL);
  EXPECT_EQ(run({put(std::string(BOP_KV_KEY_MAX + 1, 'k'), "w")}).status, BOP_E_TOO_LARGE);
  EXPECT_EQ(run({put("", "w")}).status, BOP_E_PROTOCOL);
  EXPECT_EQ(run({put("k", std::string(BOP_KV_VALUE_MAX + 1, 'v'))}).status, BOP_E_TOO_LARGE);
  EXPECT_EQ(record("k"), (Item{true, 1, "v"}));
  EXPECT_EQ(replica_.driver().applied().index, 5u);
}

TEST_P(Kv, commands_with_too_large_replies_are_refused_and_change_nothing) {
  const std::string large(BOP_KV_VALUE_MAX, 'x');
  given({put("k00", large)});
  Keys names;
  std::vector<Op> all;
  for (int i = 0; i < 20; ++i) {
    names.push_back("k" + std::to_string(i / 10) + std::to_string(i % 10));
    run({put(names.back(), large)});
    all.push_back(put(names.back(), "small", BOP_KV_RETURN_PREVIOUS));
  }
  EXPECT_EQ(run(all).status, BOP_E_TOO_LARGE);
  EXPECT_EQ(replica_.ask(get(names)).status, BOP_E_TOO_LARGE);
  EXPECT_EQ(record("k00").value.size(), large.size());
}

}  // namespace
}  // namespace bop::machine::kv::test

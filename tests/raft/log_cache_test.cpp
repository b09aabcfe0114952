#include "raft/log_cache.h"

#include <gtest/gtest.h>

namespace bop::raft {
namespace {

Restored restored(std::vector<TermRun> runs, Index last, EntryId before_first = {}) {
  Restored r;
  r.runs = std::move(runs);
  r.last = last;
  r.before_first = before_first;
  r.commit = before_first.index;
  return r;
}

Entry entry(Term term, Index index, size_t bytes = 0) {
  Entry e;
  e.term = term;
  e.index = index;
  e.time_ns = static_cast<int64_t>(index);
  e.payload = mem::Buffer::copy(std::vector<uint8_t>(bytes, 'x'));
  return e;
}

TEST(TermRuns, give_the_term_of_every_entry) {
  const TermRuns runs({2, 10}, {{11, 2}, {14, 5}, {15, 9}}, 20);
  EXPECT_EQ(runs.at(9), 0u);  // compacted
  EXPECT_EQ(runs.at(10), 2u);
  EXPECT_EQ(runs.at(13), 2u);
  EXPECT_EQ(runs.at(14), 5u);
  EXPECT_EQ(runs.at(15), 9u);
  EXPECT_EQ(runs.at(20), 9u);
  EXPECT_EQ(runs.at(21), 0u);
  EXPECT_EQ(runs.first_of_term_at(13), 11u);
  EXPECT_EQ(runs.first_of_term_at(20), 15u);
}

TEST(TermRuns, find_the_last_entry_of_a_term_or_a_lower_one) {
  const TermRuns runs({2, 10}, {{11, 3}, {14, 5}, {15, 9}}, 20);
  EXPECT_EQ(runs.last_at_most(9, 100), 20u);
  EXPECT_EQ(runs.last_at_most(9, 17), 17u);
  EXPECT_EQ(runs.last_at_most(8, 17), 14u);
  EXPECT_EQ(runs.last_at_most(4, 17), 13u);
  EXPECT_EQ(runs.last_at_most(4, 12), 12u);
  EXPECT_EQ(runs.last_at_most(1, 17), 10u);
}

TEST(TermRuns, are_truncated_and_grow_again) {
  TermRuns runs({0, 0}, {{1, 1}, {3, 2}, {5, 4}}, 6);
  runs.truncate(4);
  EXPECT_EQ(runs.last(), 3u);
  EXPECT_EQ(runs.last_term(), 2u);
  runs.append(4, 2);
  runs.append(5, 7);
  EXPECT_EQ(runs.runs().size(), 3u);
  EXPECT_EQ(runs.at(5), 7u);
  runs.truncate(1);
  EXPECT_EQ(runs.last(), 0u);
  EXPECT_EQ(runs.last_term(), 0u);
}

TEST(TermRuns, are_compacted_within_a_run_and_at_its_end) {
  TermRuns runs({0, 0}, {{1, 1}, {3, 2}, {6, 4}}, 8);
  runs.compact(4);
  EXPECT_EQ(runs.before_first(), (EntryId{2, 4}));
  EXPECT_EQ(runs.at(3), 0u);
  EXPECT_EQ(runs.at(4), 2u);
  EXPECT_EQ(runs.first_of_term_at(5), 5u);
  runs.compact(5);
  EXPECT_EQ(runs.before_first(), (EntryId{2, 5}));
  EXPECT_EQ(runs.runs().size(), 1u);
  runs.compact(3);  // already
  EXPECT_EQ(runs.before_first(), (EntryId{2, 5}));
  runs.compact(8);
  EXPECT_EQ(runs.before_first(), (EntryId{4, 8}));
  EXPECT_TRUE(runs.runs().empty());
  EXPECT_EQ(runs.last_term(), 4u);
  runs.append(9, 4);
  EXPECT_EQ(runs.first_of_term_at(9), 9u);
}

TEST(TermRuns, compacted_one_by_one_give_what_the_whole_log_gives) {
  const std::vector<Term> terms = {0, 1, 1, 2, 2, 2, 5, 7, 7, 7, 7, 9, 9, 10};
  for (Index last = 0; last < terms.size(); ++last) {
    TermRuns runs({0, 0}, {}, 0);
    for (Index i = 1; i <= last; ++i) runs.append(i, terms[i]);
    for (Index through = 0; through <= last; ++through) {
      runs.compact(through);
      for (Index i = 0; i <= last; ++i) EXPECT_EQ(runs.at(i), i < through ? 0 : terms[i]);
      // As if it had been opened like this.
      const TermRuns opened(runs.before_first(), {runs.runs().begin(), runs.runs().end()}, last);
      EXPECT_EQ(opened.last_term(), terms[last]);
    }
  }
}

TEST(LogCache, holds_in_memory_only_what_came_after_the_start) {
  LogCache log(restored({{1, 1}}, 5));
  EXPECT_EQ(log.first_cached(), 6u);
  EXPECT_EQ(log.find(5), nullptr);
  EXPECT_TRUE(log.span(1, 5).empty());
  log.append(entry(2, 6));
  EXPECT_EQ(log.find(6)->term, 2u);
  EXPECT_EQ(log.term_at(5), 1u);
}

TEST(LogCache, spans_are_consecutive_and_end_where_the_ring_wraps) {
  LogCache log(restored({{1, 1}}, 10));
  for (Index i = 11; i <= 26; ++i) log.append(entry(1, i));  // fills the first ring of 16
  size_t pieces = 0;
  for (Index next = 11; next <= log.last(); ++pieces) {
    const auto span = log.span(next, log.last());
    ASSERT_FALSE(span.empty());
    for (const Entry& e : span) EXPECT_EQ(e.index, next++);
  }
  EXPECT_EQ(pieces, 2u);
}

TEST(LogCache, grows_around_what_it_holds) {
  LogCache log(restored({{1, 1}}, 10));
  for (Index i = 11; i <= 1000; ++i) log.append(entry(1, i, i % 7));
  for (Index i = 11; i <= 1000; ++i) {
    ASSERT_EQ(log.find(i)->index, i);
    ASSERT_EQ(log.find(i)->payload.size(), i % 7);
  }
}

TEST(LogCache, evicts_the_oldest_applied_entries_beyond_the_limit) {
  LogCache log(restored({}, 0));
  for (Index i = 1; i <= 10; ++i) log.append(entry(1, i, 36));  // 100 bytes each
  EXPECT_EQ(log.open_bytes(), 1000u);
  log.evict(10, 0);
  EXPECT_EQ(log.first_cached(), 1u);  // nothing is applied
  log.set_applied_prefix(8);
  EXPECT_EQ(log.open_bytes(), 200u);
  EXPECT_EQ(log.cached_bytes(), 800u);
  log.evict(10, 350);
  EXPECT_EQ(log.first_cached(), 6u);
  log.evict(6, 0);  // not durable beyond
  EXPECT_EQ(log.first_cached(), 7u);
  EXPECT_EQ(log.find(6), nullptr);
  EXPECT_EQ(log.term_at(6), 1u);
}

TEST(LogCache, forgets_what_is_truncated_in_memory_or_not) {
  LogCache log(restored({{1, 1}, {4, 2}}, 5));
  log.append(entry(2, 6, 36));
  log.append(entry(2, 7, 36));
  log.truncate(7);
  EXPECT_EQ(log.open_bytes(), 100u);
  EXPECT_EQ(log.last_time_ns(), 6);
  log.truncate(4);
  EXPECT_EQ(log.open_bytes(), 0u);
  EXPECT_EQ(log.last(), 3u);
  EXPECT_EQ(log.last_term(), 1u);
  EXPECT_EQ(log.first_cached(), 4u);
  log.append(entry(3, 4));
  EXPECT_EQ(log.find(4)->term, 3u);
}

TEST(LogCache, drops_what_is_compacted) {
  LogCache log(restored({}, 0));
  for (Index i = 1; i <= 20; ++i) log.append(entry(1, i, 36));
  log.set_applied_prefix(12);
  log.compact(5);
  EXPECT_EQ(log.first_cached(), 6u);
  EXPECT_EQ(log.cached_bytes(), 700u);
  EXPECT_EQ(log.open_bytes(), 800u);
  EXPECT_EQ(log.find(5), nullptr);
  EXPECT_EQ(log.find(6)->index, 6u);
  log.evict(9, 0);
  log.compact(8);  // no longer in memory
  EXPECT_EQ(log.first_cached(), 10u);
  EXPECT_EQ(log.terms().before_first(), (EntryId{1, 8}));
}

TEST(LogCache, restarts_after_a_snapshot) {
  LogCache log(restored({}, 0));
  for (Index i = 1; i <= 20; ++i) log.append(entry(1, i, 36));
  log.set_applied_prefix(12);
  for (const Index at : {15, 40}) {  // before its end, and behind it
    log.restart({3, at}, 1000 + static_cast<int64_t>(at));
    EXPECT_EQ(log.last(), at);
    EXPECT_EQ(log.last_term(), 3u);
    EXPECT_EQ(log.first_cached(), at + 1);
    EXPECT_EQ(log.find(at), nullptr);
    EXPECT_EQ(log.cached_bytes() + log.open_bytes(), 0u);
    EXPECT_EQ(log.last_time_ns(), 1000 + static_cast<int64_t>(at));
    log.append(entry(3, at + 1, 36));
    EXPECT_EQ(log.find(at + 1)->index, at + 1);
    EXPECT_EQ(log.open_bytes(), 100u);
  }
}

}  // namespace
}  // namespace bop::raft

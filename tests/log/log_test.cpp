#include "log/log.h"

#include "rig.h"

namespace bop::log::testing {
namespace {

TEST(Log, an_append_is_reported_durable_after_its_write_and_not_before) {
  Rig rig;
  rig.open(true);
  TestAppender& told = rig.appender(1);
  ASSERT_TRUE(rig.append(1, 1, 1, 3));
  EXPECT_TRUE(told.numbers.empty());
  rig.run();
  EXPECT_TRUE(told.numbers.empty()) << "append alone submits nothing";
  ASSERT_TRUE(rig.append(1, 1, 4, 2));
  rig.log->flush();
  EXPECT_TRUE(told.numbers.empty());
  EXPECT_FALSE(rig.log->idle());
  rig.run();
  EXPECT_EQ(told.numbers, std::vector<uint64_t>{2}) << "the last append of the frame";
  EXPECT_TRUE(rig.log->idle());
}

TEST(Log, gathers_appends_during_a_write_and_submits_them_at_its_end) {
  Rig rig;
  rig.open(true);
  rig.run();
  const uint64_t writes = rig.log->counters().writes;
  TestAppender& told = rig.appender(1);
  ASSERT_TRUE(rig.append(1, 1, 1, 1));
  rig.log->flush();
  for (Index index = 2; index <= 10; ++index) {
    ASSERT_TRUE(rig.append(1, 1, index, 1));
    rig.log->flush();
  }
  EXPECT_EQ(rig.disk.under_way(), 1u);
  EXPECT_TRUE(rig.disk.step());
  EXPECT_EQ(told.last_durable, 1u);
  EXPECT_EQ(rig.disk.under_way(), 1u);
  EXPECT_TRUE(rig.disk.step());
  EXPECT_EQ(told.last_durable, 10u);
  EXPECT_EQ(rig.log->counters().writes, writes + 2);
}

TEST(Log, an_empty_directory_is_a_log_only_when_it_is_created) {
  Rig rig;
  ASSERT_TRUE(rig.disk.make_directory_now("wal"));
  EXPECT_EQ(rig.try_open(false).error().code, BOP_E_NOT_FORMATTED);
  rig.open(true);
  EXPECT_EQ(rig.log->recovery().epoch, 1u);
  rig.close();
  rig.open(false);
  EXPECT_EQ(rig.log->recovery().epoch, 2u);
}

TEST(Log, finds_entries_and_hard_states_again) {
  Rig rig;
  rig.open(true);
  rig.write(1, 2, 1, 5);
  rig.write(2, 1, 1, 1);
  rig.write(1, 3, 6, 2);
  rig.write(2, 9, 2, 0);  // a vote
  rig.close();
  rig.open();
  const RecoveredGroup* one = rig.found(1);
  ASSERT_NE(one, nullptr);
  EXPECT_EQ(one->health, Health::ok);
  EXPECT_EQ(one->hard, (raft::HardState{3, 3}));
  EXPECT_EQ(one->last, 7u);
  EXPECT_EQ(one->before_first, (raft::EntryId{0, 0}));
  EXPECT_EQ(one->runs, (std::vector<raft::TermRun>{{1, 2}, {6, 3}}));
  EXPECT_EQ(one->last_time_ns, 7000);
  const RecoveredGroup* two = rig.found(2);
  ASSERT_NE(two, nullptr);
  EXPECT_EQ(two->hard, (raft::HardState{9, 3}));
  EXPECT_EQ(two->last, 1u);
  EXPECT_FALSE(rig.log->recovery().torn);
  EXPECT_FALSE(rig.log->recovery().others_suspect);
}

TEST(Log, an_append_replaces_the_entries_from_its_first_index_on) {
  Rig rig;
  rig.open(true);
  rig.write(1, 1, 1, 10);
  rig.write(1, 2, 4, 2);
  const auto before = rig.read(1, 1);
  ASSERT_TRUE(before) << before.error().to_string();
  rig.close();
  rig.open();
  EXPECT_EQ(rig.found(1)->last, 5u);
  EXPECT_EQ(rig.found(1)->runs, (std::vector<raft::TermRun>{{1, 1}, {4, 2}}));
  const auto after = rig.read(1, 1);
  ASSERT_TRUE(after);
  ASSERT_EQ(after->size(), 5u);
  for (size_t i = 0; i < 5; ++i) {
    EXPECT_TRUE(same((*after)[i], make_entry(i < 3 ? 1 : 2, i + 1)));
    EXPECT_TRUE(same((*before)[i], (*after)[i]));
  }
}

TEST(Log, reads_entries_from_memory_and_from_files_alike) {
  Rig rig;
  rig.open(true);
  rig.write(1, 1, 1, 20, 3000);
  ASSERT_TRUE(rig.append(1, 1, 21, 3, 700));  // gathered
  const auto entries = rig.read(1, 15);
  ASSERT_TRUE(entries) << entries.error().to_string();
  ASSERT_EQ(entries->size(), 9u);
  for (size_t i = 0; i < 9; ++i) {
    EXPECT_TRUE(same((*entries)[i], make_entry(1, 15 + i, i < 6 ? 3000 : 700))) << i;
  }
}

TEST(Log,
     a_read_whose_entries_are_replaced_meanwhile_fails_and_the_next_one_finds_the_new_entries) {
  Rig rig;
  rig.open(true);
  rig.write(1, 1, 1, 10, 3000);
  rig.write(1, 1, 11, 10, 3000);
  std::optional<Result<std::vector<raft::Entry>>> read;
  rig.log->read(1, 1, 1 << 20, [&](auto entries) { read = std::move(entries); });
  rig.write(1, 2, 15, 1);
  rig.run();
  ASSERT_TRUE(read.has_value());
  ASSERT_FALSE(read->has_value());
  EXPECT_EQ(read->error().code, BOP_E_UNAVAILABLE);
  EXPECT_EQ(rig.read(1, 1)->size(), 15u);
}

TEST(Log, reads_at_least_one_entry_and_no_more_bytes_than_asked_for) {
  Rig rig;
  rig.open(true);
  rig.write(1, 1, 1, 20, 1000);
  EXPECT_EQ(rig.read(1, 3, 1)->size(), 1u);
  EXPECT_EQ(rig.read(1, 3, 3 * 1064)->size(), 3u);
  EXPECT_EQ(rig.read(1, 3, 3 * 1064 - 1)->size(), 2u);
  EXPECT_EQ(rig.read(1, 21).error().code, BOP_E_NOT_FOUND);
  EXPECT_EQ(rig.read(2, 1).error().code, BOP_E_NOT_FOUND);
}

TEST(Log, splits_a_large_append_into_frames_and_reports_it_once) {
  Rig rig;
  rig.open(true);
  rig.write(1, 1, 1, 300, 2000);  // 600 KB: several frames, several segments
  EXPECT_EQ(rig.appender(1).numbers, std::vector<uint64_t>{1});
  const auto entries = rig.read(1, 1, 10 << 20);
  ASSERT_TRUE(entries) << entries.error().to_string();
  ASSERT_EQ(entries->size(), 300u);
  rig.close();
  rig.open();
  EXPECT_EQ(rig.found(1)->last, 300u);
  EXPECT_EQ(rig.found(1)->health, Health::ok);
}

TEST(Log, refuses_appends_by_name_that_it_cannot_accept) {
  Rig rig;
  rig.options.max_gathered_bytes = 10000;
  rig.open(true);
  EXPECT_EQ(rig.append(1, 1, 1, 1, 200000).error().code, BOP_E_TOO_LARGE);
  EXPECT_EQ(rig.append(1, 1, 1, 20, 1000).error().code, BOP_E_OVERLOADED);
  EXPECT_TRUE(rig.append(1, 1, 1, 8, 1000));
  EXPECT_EQ(rig.append(1, 1, 9, 2, 1000).error().code, BOP_E_OVERLOADED);
  EXPECT_EQ(rig.log->reserve(1, 5000).error().code, BOP_E_OVERLOADED);
  rig.log->flush();
  rig.run();
  EXPECT_TRUE(rig.append(1, 1, 9, 2, 1000));
}

TEST(Log, takes_an_entry_of_its_largest_payload_and_none_that_is_larger) {
  Rig rig;
  rig.open(true);
  const size_t largest = rig.log->largest_payload();
  EXPECT_EQ(rig.append(1, 1, 1, 1, largest + 1).error().code, BOP_E_TOO_LARGE);
  rig.write(1, 1, 1, 3, largest);
  EXPECT_TRUE(same(rig.read(1, 2)->front(), make_entry(1, 2, largest)));
  rig.close();
  rig.open();
  EXPECT_EQ(rig.found(1)->last, 3u);
}

TEST(Log, seals_once_when_it_was_idle_for_a_while) {
  Rig rig;
  rig.open(true);
  rig.write(1, 1, 1, 1);
  rig.run();
  EXPECT_EQ(rig.log->counters().seals, 0u);
  rig.pass(rig.options.seal_after);
  EXPECT_EQ(rig.log->counters().seals, 1u);
  for (int i = 0; i < 10; ++i) rig.pass(rig.options.seal_after);
  EXPECT_EQ(rig.log->counters().seals, 1u);
  rig.write(1, 1, 2, 1);
  rig.pass(rig.options.seal_after);
  EXPECT_EQ(rig.log->counters().seals, 2u);
}

TEST(Log, a_failed_write_latches_it_permanently) {
  Rig rig;
  rig.open(true);
  rig.run();
  rig.write(1, 1, 1, 1);
  TestAppender& one = rig.appender(1);
  TestAppender& two = rig.appender(2);
  rig.disk.fail(sim::DiskOperation::write, BOP_E_IO);
  ASSERT_TRUE(rig.append(1, 1, 2, 1));
  rig.log->flush();
  rig.run();
  EXPECT_EQ(one.last_durable, 1u);
  ASSERT_TRUE(one.latch.has_value());
  EXPECT_EQ(one.latch->code, BOP_E_LATCHED);
  EXPECT_TRUE(two.latch.has_value());
  EXPECT_EQ(rig.append(1, 1, 3, 1).error().code, BOP_E_LATCHED);
  EXPECT_EQ(rig.log->reserve(1, 1).error().code, BOP_E_LATCHED);
  EXPECT_FALSE(rig.log->healthy(rig.clock.now(), 1 * seconds));
  EXPECT_TRUE(rig.log->idle());
  rig.close();
  rig.open();
  EXPECT_EQ(rig.found(1)->health, Health::ok);
  EXPECT_GE(rig.found(1)->last, 1u);
  EXPECT_TRUE(rig.append(1, 1, rig.found(1)->last + 1, 1));
}

TEST(Log, is_unhealthy_while_its_oldest_write_takes_too_long) {
  Rig rig;
  rig.open(true);
  rig.run();
  EXPECT_TRUE(rig.log->healthy(rig.clock.now() + 100 * seconds, 1 * seconds)) << "idle is healthy";
  ASSERT_TRUE(rig.append(1, 1, 1, 1));
  rig.log->flush();
  rig.disk.stall(true);
  EXPECT_TRUE(rig.log->healthy(rig.clock.now() + 1 * seconds, 1 * seconds));
  EXPECT_FALSE(rig.log->healthy(rig.clock.now() + 1 * seconds + 1, 1 * seconds));
}

TEST(Log, keeps_everything_reported_durable_through_a_kill_and_a_power_loss) {
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    SCOPED_TRACE(seed);
    Rig rig(seed);
    rig.open(true);
    Index last = 0;
    for (int life = 0; life < 4; ++life) {
      for (int i = 0; i < 5; ++i) {
        rig.write(1, 1, last + 1, 3, 1500);
        last += 3;
      }
      TestAppender& told = rig.appender(2);
      const uint64_t before = rig.numbers[2];
      const Index first = rig.found(2) != nullptr && life > 0 ? rig.found(2)->last + 1 : 1;
      ASSERT_TRUE(rig.append(2, 1, first, 6, 3000));  // may be lost
      rig.log->flush();
      EXPECT_EQ(told.last_durable, before);
      life % 2 == 0 ? rig.kill() : rig.cut_power();
      rig.open();
      ASSERT_NE(rig.found(1), nullptr);
      EXPECT_EQ(rig.found(1)->last, last);
      EXPECT_EQ(rig.found(1)->health, Health::ok) << rig.found(1)->reason;
      EXPECT_FALSE(rig.log->recovery().damaged);
      EXPECT_FALSE(rig.log->recovery().suspect);
    }
    const auto entries = rig.read(1, 1, 10 << 20);
    ASSERT_TRUE(entries);
    EXPECT_EQ(entries->size(), last);
  }
}

TEST(Log, refuses_the_directory_of_another_log) {
  Rig rig;
  rig.open(true);
  rig.write(1, 1, 1, 1);
  rig.close();
  ++rig.options.log_id;
  EXPECT_EQ(rig.try_open(false).error().code, BOP_E_FOREIGN_DIRECTORY);
}

}  // namespace
}  // namespace bop::log::testing

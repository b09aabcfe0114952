// How a log uses its space: segments made ahead, released and reused; full disks and full logs; cold groups
// that would pin old segments.
#include "rig.h"

namespace bop::log::testing {
namespace {

// Appends until the log refuses, and returns its error.
Error fill(Rig& rig, GroupId group, Index& next) {
  for (int i = 0; i < 100000; ++i) {
    const Status appended = rig.append(group, 1, next, 1, 3000);
    if (!appended) return appended.error();
    ++next;
    rig.log->flush();
    rig.run();
  }
  return {};
}

size_t segments_in(Rig& rig) { return rig.disk.list_now("wal")->size(); }

TEST(LogSpace, makes_the_next_segment_in_advance) {
  Rig rig;
  rig.open(true);
  EXPECT_EQ(segments_in(rig), 1u);
  rig.run();
  EXPECT_EQ(segments_in(rig), 2u);
  EXPECT_TRUE(rig.log->idle());
}

TEST(LogSpace, appends_to_the_next_segment_while_it_is_still_being_made) {
  Rig rig;
  rig.open(true);
  TestAppender& told = rig.appender(1);
  Index next = 1;
  for (int i = 0; i < 30; ++i, next += 10) {
    ASSERT_TRUE(rig.append(1, 1, next, 10, 2500));  // 750 KB before any completion
    rig.log->flush();
  }
  EXPECT_TRUE(told.numbers.empty());
  rig.run();
  EXPECT_EQ(told.last_durable, 30u);
  EXPECT_EQ(rig.read(1, 1, 10 << 20)->size(), 300u);
}

TEST(LogSpace, pauses_between_the_pieces_of_a_segment_that_it_fills) {
  Rig rig;
  rig.options.segment_bytes = 1 << 20;
  rig.open(true);
  ASSERT_TRUE(rig.disk.step());  // the file is opened, its first piece is being written
  ASSERT_EQ(rig.disk.under_way(), 1u);
  rig.clock.now_ += 3 * milliseconds;
  ASSERT_TRUE(rig.disk.step());
  rig.clock.now_ += 2 * milliseconds;
  EXPECT_FALSE(rig.step());
  rig.clock.now_ += 1 * milliseconds;
  EXPECT_TRUE(rig.step());
  EXPECT_EQ(rig.disk.under_way(), 1u);
}

TEST(LogSpace, fills_a_segment_without_pause_when_the_log_waits_for_it) {
  Rig rig;
  rig.options.segment_bytes = 1 << 20;
  rig.open(true);
  TestAppender& told = rig.appender(1);
  ASSERT_TRUE(rig.append(1, 1, 1, 500, 2500));  // more than the first segment
  rig.log->flush();
  while (told.last_durable < 1 && (rig.post.run_one() || rig.disk.step())) {
    rig.clock.now_ += 1 * milliseconds;  // and no timer fires
  }
  EXPECT_EQ(told.last_durable, 1u);
}

TEST(LogSpace, fills_a_segment_without_pause_when_the_log_needs_it_soon) {
  Rig rig;
  rig.options.segment_bytes = 1 << 20;
  rig.open(true);
  TestAppender& told = rig.appender(1);
  ASSERT_TRUE(rig.disk.step());                 // the file is opened
  ASSERT_TRUE(rig.append(1, 1, 1, 250, 2500));  // more than half of the first segment
  rig.log->flush();
  while (rig.post.run_one() || rig.disk.step()) {
    rig.clock.now_ += 1 * milliseconds;  // and no timer fires
  }
  EXPECT_EQ(told.last_durable, 1u);
  const auto names = *rig.disk.list_now("wal");
  EXPECT_EQ(names.size(), 2u);
  EXPECT_EQ(std::ranges::count(names, "segment.making"), 0);
}

TEST(LogSpace, keeps_segments_that_were_released_in_a_burst) {
  Rig rig;
  rig.open(true);
  rig.write(1, 1, 1, 1);
  Index next = 2;
  const auto fill_segments = [&] {
    for (int i = 0; i < 40; ++i, next += 10) rig.write(1, 1, next, 10, 2000);
  };
  fill_segments();
  const uint64_t most = rig.log->used_bytes();
  ASSERT_GE(most, 3 * rig.options.segment_bytes);
  rig.log->compact(1, {1, next - 1});
  rig.run();
  const uint64_t before = rig.log->used_bytes();
  EXPECT_LE(before, most);
  EXPECT_GE(before, 5 * rig.options.segment_bytes);
  fill_segments();
  EXPECT_LE(rig.log->used_bytes(), most + rig.options.segment_bytes);
}

TEST(LogSpace, skips_segments_that_are_too_small_for_a_frame) {
  Rig rig;
  rig.open(true);
  rig.write(1, 1, 1, 1);
  rig.close();  // with a second segment made ahead
  rig.options.segment_bytes = 1 << 20;
  rig.options.max_frame_bytes = 1 << 20;
  rig.open();
  const size_t payload = 600'000;  // more than an old segment
  rig.write(1, 1, 2, 1, payload);
  EXPECT_TRUE(same(rig.read(1, 2)->front(), make_entry(1, 2, payload)));
  rig.close();
  rig.open();
  EXPECT_EQ(rig.found(1)->last, 2u);
  EXPECT_EQ(rig.found(1)->health, Health::ok) << rig.found(1)->reason;
  EXPECT_TRUE(same(rig.read(1, 2)->front(), make_entry(1, 2, payload)));
}

TEST(LogSpace, uses_released_segments_again) {
  Rig rig;
  rig.open(true);
  Index next = 1;
  for (int i = 0; i < 400; ++i) {
    rig.write(1, 1, next, 10, 2000);
    next += 10;
    if (i % 5 == 0 && next > 30) rig.log->compact(1, {1, next - 30});
  }
  EXPECT_LE(segments_in(rig), 5u);
  EXPECT_LE(rig.log->used_bytes(), 5 * rig.options.segment_bytes);
  EXPECT_GT(rig.log->counters().segments_made, 20u);
  EXPECT_EQ(rig.read(1, next - 20)->front().index, next - 20);
  rig.close();
  rig.open();
  EXPECT_EQ(rig.found(1)->last, next - 1);
  EXPECT_EQ(rig.found(1)->health, Health::ok) << rig.found(1)->reason;
  EXPECT_EQ(rig.log->recovery().others_suspect, false);
}

// Fills the log until it refuses votes too, because the reserve is used up.
Index fill_to_the_brim(Rig& rig) {
  Index next = 1;
  EXPECT_EQ(fill(rig, 1, next).code, BOP_E_DISK_FULL);
  for (Term term = 2; term < 10'000; ++term) {
    const Status voted = rig.append(2, term, 1, 0);
    if (!voted) return next - 1;
    rig.log->flush();
    rig.run();
  }
  ADD_FAILURE() << "votes are taken without end";
  return 0;
}

TEST(LogSpace,
     a_full_log_opens_on_a_full_disk_serves_reads_and_accepts_entries_when_there_is_space) {
  for (const bool power_cut : {false, true}) {
    Rig rig;
    rig.open(true);
    rig.disk.set_capacity(2 * rig.options.segment_bytes + 1000);
    const Index last = fill_to_the_brim(rig);
    power_cut ? rig.cut_power() : rig.kill();
    // Each open writes a frame and raises the epoch, until no block is left for one.
    uint64_t epoch = 0;
    for (int life = 0; life < 200; ++life) {
      rig.open();
      EXPECT_EQ(rig.found(1)->last, last);
      if (std::exchange(epoch, rig.log->recovery().epoch) == rig.log->recovery().epoch) break;
      rig.run();
      rig.kill();
    }
    ASSERT_EQ(rig.log->recovery().epoch, epoch);
    EXPECT_FALSE(rig.log->idle()) << "the opening waits";
    rig.run();
    EXPECT_FALSE(rig.disk.exists("wal/segment.making"));
    EXPECT_EQ(rig.read(1, 1)->front().index, 1u);
    EXPECT_EQ(rig.append(1, 1, last + 1, 1).error().code, BOP_E_DISK_FULL);
    rig.kill();
    rig.open();
    EXPECT_EQ(rig.append(1, 1, last + 1, 1).error().code, BOP_E_DISK_FULL) << "again";
    EXPECT_EQ(rig.append(2, 10'000, 1, 0).error().code, BOP_E_DISK_FULL);

    rig.disk.set_capacity(0);
    rig.pass(10 * seconds);
    rig.write(1, 1, last + 1, 3);
    rig.write(2, 10'000, 1, 0);
    rig.kill();
    rig.open();
    EXPECT_EQ(rig.found(1)->last, last + 3);
    for (const GroupId group : {1, 2}) {
      EXPECT_EQ(rig.found(group)->health, Health::ok) << rig.found(group)->reason;
    }
    EXPECT_EQ(rig.found(2)->hard.term, 10'000u);
    EXPECT_GT(rig.log->recovery().epoch, epoch);
    EXPECT_FALSE(rig.log->recovery().damaged || rig.log->recovery().suspect);
  }
}

TEST(LogSpace, a_new_log_needs_space) {
  Rig rig;
  rig.disk.set_capacity(1000);
  EXPECT_EQ(rig.try_open(true).error().code, BOP_E_DISK_FULL);
  EXPECT_FALSE(rig.disk.exists("wal/segment.making"));
  rig.disk.set_capacity(0);
  rig.open(true);
}

TEST(LogSpace, a_failed_write_names_the_segment_by_its_current_name) {
  for (const bool used_again : {false, true}) {
    Rig rig;
    rig.open(true);
    Index next = 1;
    const auto write = [&](size_t times) {
      for (size_t i = 0; i < times; ++i, next += 10) rig.write(1, 1, next, 10, 2000);
    };
    write(20);  // into the second segment
    if (used_again) {
      rig.log->compact(1, {1, next - 1});
      write(100);
    }
    rig.disk.fail(sim::DiskOperation::write, BOP_E_IO);
    rig.run();
    ASSERT_TRUE(rig.append(1, 1, next, 1));
    rig.log->flush();
    rig.run();
    const auto latch = rig.appender(1).latch;
    ASSERT_TRUE(latch.has_value());
    EXPECT_NE(latch->detail.find(".seg"), std::string::npos) << latch->detail;
    EXPECT_EQ(latch->detail.find("making"), std::string::npos) << latch->detail;
    // The last segment with a frame; the one made in advance has none.
    const auto names = *rig.disk.list_now("wal");
    EXPECT_NE(latch->detail.find(names[names.size() - 2]), std::string::npos) << latch->detail;
  }
}

TEST(LogSpace, a_segment_is_not_reused_during_a_read) {
  Rig rig;
  rig.open(true);
  rig.write(1, 1, 1, 10, 2000);
  std::optional<Result<std::vector<raft::Entry>>> read;
  rig.log->read(1, 1, 1, [&](auto entries) { read = std::move(entries); });
  // The read waits in the disk's queue while the log fills several segments.
  rig.disk.set_faults({.reads_last = true});
  for (Index next = 11; next < 1500; next += 10) {
    rig.write(1, 1, next, 10, 2000);
    rig.log->compact(1, {1, next});
  }
  EXPECT_FALSE(read.has_value());
  rig.run();
  ASSERT_TRUE(read.has_value());
  ASSERT_TRUE(*read) << read->error().to_string();
  EXPECT_TRUE(same(read->value().front(), make_entry(1, 1, 2000)));
}

TEST(LogSpace, compacted_entries_are_not_found) {
  Rig rig;
  rig.open(true);
  rig.write(1, 1, 1, 10);
  rig.log->compact(1, {1, 4});
  EXPECT_EQ(rig.read(1, 4).error().code, BOP_E_NOT_FOUND);
  EXPECT_EQ(rig.read(1, 5)->size(), 6u);
  rig.log->compact(1, {1, 10});
  EXPECT_EQ(rig.read(1, 10).error().code, BOP_E_NOT_FOUND);
  rig.write(1, 1, 11, 1);
  EXPECT_EQ(rig.read(1, 11)->size(), 1u);
}

TEST(LogSpace, a_full_log_refuses_entries_by_name_accepts_votes_and_recovers_when_compacted) {
  Rig rig;
  rig.options.max_bytes = 4 * rig.options.segment_bytes;
  rig.open(true);
  Index next = 1;
  EXPECT_EQ(fill(rig, 1, next).code, BOP_E_LOG_FULL);
  EXPECT_GT(next * 4096, 3 * rig.options.segment_bytes) << "a block each";
  EXPECT_LE(rig.log->used_bytes(), rig.options.max_bytes);
  EXPECT_EQ(rig.log->reserve(1, 1).error().code, BOP_E_LOG_FULL);
  rig.run_until_sealed();
  rig.write(1, 5, next, 0);  // a vote
  EXPECT_TRUE(rig.log->healthy(rig.clock.now(), 1 * seconds));
  EXPECT_EQ(rig.read(1, 1)->front().index, 1u);
  rig.log->compact(1, {1, next - 2});
  rig.run_until_sealed();
  EXPECT_TRUE(rig.log->reserve(1, 3000));
  rig.write(1, 5, next, 1, 3000);
  rig.close();
  rig.open();
  EXPECT_EQ(rig.found(1)->last, next);
  EXPECT_EQ(rig.found(1)->health, Health::ok);
}

TEST(LogSpace, a_turn_can_append_everything_that_it_reserved_space_for) {
  Rig rig;
  rig.options.max_bytes = 4 * rig.options.segment_bytes;
  rig.open(true);
  Index next = 1;
  for (size_t granted = 1; granted > 0;) {
    granted = 0;
    while (granted < 30 && rig.log->reserve(1, 3000 + 64)) ++granted;
    if (granted == 0) break;
    const Status appended = rig.append(1, 1, next, granted, 3000);
    ASSERT_TRUE(appended) << granted << " entries behind " << next << ": "
                          << appended.error().to_string();
    next += granted;
    rig.log->flush();
    rig.run();
  }
  EXPECT_EQ(rig.log->reserve(1, 3000 + 64).error().code, BOP_E_LOG_FULL);
  rig.write(1, 5, next, 0);  // a vote
}

TEST(LogSpace, a_full_log_accepts_the_noop_of_a_new_leader) {
  Rig rig;
  rig.options.max_bytes = 4 * rig.options.segment_bytes;
  rig.open(true);
  Index next = 1;
  EXPECT_EQ(fill(rig, 1, next).code, BOP_E_LOG_FULL);
  rig.run_until_sealed();
  EXPECT_EQ(rig.log->reserve(1, 1).error().code, BOP_E_LOG_FULL);
  EXPECT_TRUE(rig.log->reserve(1, 60, false));
  raft::Entry noop = make_entry(5, next, 0);
  noop.kind = raft::EntryKind::noop;
  const TestAppender& told = rig.appender(1);
  ASSERT_TRUE(rig.append(1, 5, {&noop, 1}));
  rig.log->flush();
  rig.run();
  EXPECT_EQ(told.last_durable, rig.numbers[1]);
  EXPECT_TRUE(same(rig.read(1, next)->front(), noop));
}

// Uncommitted commands of earlier terms may lie before the noop, without which nothing is committed and released.
TEST(LogSpace, a_full_log_accepts_commands_of_earlier_terms_that_were_reserved_as_no_commands) {
  Rig rig;
  rig.options.max_bytes = 4 * rig.options.segment_bytes;
  rig.open(true);
  Index next = 1;
  EXPECT_EQ(fill(rig, 1, next).code, BOP_E_LOG_FULL);
  rig.run_until_sealed();
  std::vector<raft::Entry> entries{make_entry(4, next, 100), make_entry(5, next + 1, 0)};
  entries[1].kind = raft::EntryKind::noop;
  const TestAppender& told = rig.appender(1);
  ASSERT_TRUE(rig.log->reserve(1, 300, false));
  ASSERT_TRUE(rig.append(1, 5, entries));
  rig.log->flush();
  rig.run();
  EXPECT_EQ(told.last_durable, rig.numbers[1]);
  EXPECT_EQ(rig.append(1, 5, next + 2, 1, 100).error().code, BOP_E_LOG_FULL)
      << "the leader's own commands stay out";
}

// The group that filled it let go of everything; what is left holds the first segment.
TEST(LogSpace, a_full_log_rewrites_its_cold_groups) {
  Rig rig;
  rig.options.max_bytes = 4 * rig.options.segment_bytes;
  rig.open(true);
  rig.write(1, 1, 1, 5);
  Index next = 1;
  ASSERT_EQ(fill(rig, 2, next).code, BOP_E_LOG_FULL);
  rig.log->compact(2, {1, next - 1});
  for (int i = 0; i < 5; ++i) rig.pass(1 * seconds);
  EXPECT_EQ(rig.log->counters().rewritten, 1u);
  rig.write(2, 1, next, 1, 3000);
  EXPECT_EQ(rig.read(1, 1)->size(), 5u);
  rig.close();
  rig.open();
  EXPECT_EQ(rig.found(1)->last, 5u);
}

// A replica that cannot write its term answers no leader, which then never says what may be released.
TEST(LogSpace, votes_get_segments_beyond_the_limit_when_the_reserve_is_used_up) {
  Rig rig;
  rig.options.max_bytes = 3 * rig.options.segment_bytes;
  rig.open(true);
  Index next = 1;
  ASSERT_EQ(fill(rig, 1, next).code, BOP_E_LOG_FULL);
  Term term = 2;
  for (int votes = 0; votes < 300; ++votes) {
    // The first one that finds no space asks for it.
    Status appended = rig.append(1, term, next, 0);
    for (int tries = 0; tries < 10 && !appended; ++tries) {
      rig.pass(20 * milliseconds);
      appended = rig.append(1, term, next, 0);
    }
    ASSERT_TRUE(appended) << "vote " << votes << ": " << appended.error().to_string();
    ++term;
    rig.log->flush();
    rig.run();
  }
  EXPECT_GT(rig.log->used_bytes(), rig.options.max_bytes);
  EXPECT_LE(rig.log->used_bytes(),
            rig.options.max_bytes + 300 * 4096 + 2 * rig.options.segment_bytes);
  EXPECT_EQ(rig.append(1, term, next, 1, 100).error().code, BOP_E_LOG_FULL) << "commands stay out";
  rig.log->compact(1, {1, next - 2});
  rig.run_until_sealed();
  rig.write(1, term, next, 1, 3000);
  rig.run_until_sealed();
  EXPECT_LE(rig.log->used_bytes(), rig.options.max_bytes) << "the overdraft is given back";
  rig.close();
  rig.open();
  EXPECT_EQ(rig.found(1)->hard.term, term);
}

TEST(LogSpace, votes_are_refused_too_when_the_reserve_is_used_up_and_the_disk_is_full) {
  Rig rig;
  rig.open(true);
  rig.run();
  rig.disk.set_capacity(3 * rig.options.segment_bytes);
  Index next = 1;
  ASSERT_EQ(fill(rig, 1, next).code, BOP_E_DISK_FULL);
  int votes = 0;
  while (votes < 1000 && rig.append(1, 2 + static_cast<Term>(votes), next, 0)) {
    rig.log->flush();
    rig.run();
    ++votes;
  }
  EXPECT_GE(votes, 4);
  EXPECT_LT(votes, 1000);
  rig.disk.set_capacity(0);
  rig.pass(10 * seconds);
  rig.write(1, 2000, next, 1, 3000);
}

TEST(LogSpace, a_full_disk_refuses_entries_by_name_and_recovers_by_itself) {
  Rig rig;
  rig.open(true);
  rig.run();
  rig.disk.set_capacity(3 * rig.options.segment_bytes + 100000);
  Index next = 1;
  EXPECT_EQ(fill(rig, 1, next).code, BOP_E_DISK_FULL);
  rig.write(1, 5, next, 0);
  EXPECT_TRUE(rig.log->healthy(rig.clock.now(), 1 * seconds));
  EXPECT_FALSE(rig.appender(1).latch.has_value());
  rig.disk.set_capacity(0);
  EXPECT_EQ(rig.append(1, 5, next, 1, 3000).error().code, BOP_E_DISK_FULL);
  rig.pass(10 * seconds);
  rig.write(1, 5, next, 1, 3000);
}

TEST(LogSpace, released_segments_are_removed_on_a_nearly_full_disk_before_entries_are_refused) {
  Rig rig;
  rig.open(true);
  rig.run();
  Index next = 1;
  const auto go_on = [&] {
    for (int i = 0; i < 40; ++i) {
      if (const Status appended = rig.append(1, 1, next, 1, 50000); !appended)
        return appended.error().code;
      ++next;
      rig.log->flush();
      rig.run();
      rig.log->compact(1, {1, next - 1});
    }
    return BOP_OK;
  };
  const uint64_t segment = rig.options.segment_bytes;
  EXPECT_EQ(go_on(), BOP_OK);
  const uint64_t before = rig.log->used_bytes();
  rig.disk.set_capacity(rig.disk.used_bytes() + 100000);
  EXPECT_EQ(go_on(), BOP_OK);
  EXPECT_LE(rig.log->used_bytes(), before);
  rig.disk.set_capacity(segment + segment / 2);  // others took the rest
  EXPECT_EQ(go_on(), BOP_E_DISK_FULL);
  EXPECT_EQ(rig.log->used_bytes(), segment);
  rig.disk.set_capacity(0);
  rig.pass(10 * seconds);
  EXPECT_EQ(go_on(), BOP_OK);
}

TEST(LogSpace, a_segment_for_which_the_disk_has_no_space_is_removed) {
  Rig rig;
  rig.options.segment_bytes = 4u << 20;
  rig.open(true);
  rig.disk.fail(sim::DiskOperation::write, BOP_E_DISK_FULL, 3);
  rig.run();
  EXPECT_EQ(rig.disk.list_now("wal")->size(), 1u);
  EXPECT_EQ(rig.log->used_bytes(), rig.options.segment_bytes);
  EXPECT_FALSE(rig.appender(1).latch.has_value());
  rig.write(1, 1, 1, 1);
  rig.pass(1 * seconds);
  EXPECT_EQ(rig.disk.list_now("wal")->size(), 2u);
}

TEST(LogSpace, a_failure_of_the_device_while_a_segment_is_made_latches) {
  Rig rig;
  rig.open(true);
  TestAppender& told = rig.appender(1);
  rig.disk.fail(sim::DiskOperation::sync_directory, BOP_E_IO);
  rig.run();
  EXPECT_TRUE(told.latch.has_value());
  EXPECT_TRUE(rig.log->idle());
}

TEST(LogSpace, too_many_open_files_only_delay_the_log) {
  for (const auto kind : {sim::DiskOperation::open, sim::DiskOperation::sync_directory}) {
    Rig rig;
    rig.open(true);
    rig.disk.fail(kind, BOP_E_OVERLOADED, 1, 1000);
    TestAppender& told = rig.appender(1);
    ASSERT_TRUE(rig.append(1, 1, 1, 400, 1000));
    rig.log->flush();
    rig.pass(10 * seconds);
    EXPECT_FALSE(told.latch.has_value()) << told.latch->to_string();
    EXPECT_EQ(told.last_durable, 0u);
    EXPECT_FALSE(rig.log->healthy(rig.clock.now(), 1 * seconds));
    EXPECT_NE(rig.log->capacity().detail.find("no file descriptor is free"), std::string::npos);
    rig.disk.heal();
    rig.pass(10 * seconds);
    EXPECT_EQ(rig.log->capacity().detail, "");
    EXPECT_EQ(told.last_durable, 1u);
    EXPECT_TRUE(rig.log->healthy(rig.clock.now(), 1 * seconds));
  }
}

TEST(LogSpace, an_unfinished_segment_is_removed_after_a_crash) {
  Rig rig;
  rig.options.segment_bytes = 4u << 20;
  rig.open(true);
  rig.disk.step();
  rig.disk.step();
  EXPECT_TRUE(rig.disk.exists("wal/segment.making"));
  rig.kill();
  rig.open();
  rig.run();
  EXPECT_FALSE(rig.disk.exists("wal/segment.making"));
  EXPECT_EQ(segments_in(rig), 2u);
}

TEST(LogSpace, cold_groups_do_not_pin_old_segments) {
  Rig rig;
  rig.options.max_bytes = 16 * rig.options.segment_bytes;
  rig.options.rewrite_above_bytes = 6 * rig.options.segment_bytes;
  rig.open(true);
  for (GroupId cold = 10; cold < 20; ++cold) rig.write(cold, 3, 1, 5, 500);
  rig.write(20, 8, 1, 0);  // has only voted
  Index next = 1;
  for (int i = 0; i < 600; ++i) {
    rig.write(1, 1, next, 10, 2000);
    next += 10;
    rig.log->compact(1, {1, next - 5});
    rig.run();
  }
  EXPECT_GT(rig.log->counters().rewritten, 10u);
  EXPECT_LE(rig.log->used_bytes(), 8 * rig.options.segment_bytes);
  for (GroupId cold = 10; cold < 20; ++cold) {
    const auto entries = rig.read(cold, 1);
    ASSERT_TRUE(entries) << entries.error().to_string();
    ASSERT_EQ(entries->size(), 5u);
    EXPECT_TRUE(same(entries->back(), make_entry(3, 5, 500)));
  }
  rig.write(12, 4, 4, 1);  // a cold group appends, and replaces its end
  rig.close();
  rig.open();
  for (GroupId cold = 10; cold < 20; ++cold) {
    ASSERT_NE(rig.found(cold), nullptr);
    EXPECT_EQ(rig.found(cold)->health, Health::ok) << rig.found(cold)->reason;
    EXPECT_EQ(rig.found(cold)->last, cold == 12 ? 4u : 5u);
    EXPECT_EQ(rig.read(cold, 1)->size(), cold == 12 ? 4u : 5u);
  }
  EXPECT_EQ(rig.found(20)->hard, (raft::HardState{8, 3}));
}

// A group whose entries nobody releases, as when a follower is absent, and one that releases what it writes.
TEST(LogSpace, a_group_that_keeps_its_entries_stops_itself_and_no_other) {
  Rig rig;
  rig.options.max_bytes = 16 * rig.options.segment_bytes;
  rig.open(true);
  rig.write(2, 1, 1, 1);
  Index next = 1;
  Error refused{BOP_OK, {}};
  for (int i = 0; i < 20'000; ++i) {
    if (const Status reserved = rig.log->reserve(1, 3064); !reserved) {
      refused = reserved.error();
      break;
    }
    ASSERT_TRUE(rig.append(1, 1, next++, 1, 3000));
    rig.log->flush();
    rig.run();
  }
  ASSERT_EQ(refused.code, BOP_E_LOG_FULL);
  EXPECT_NE(refused.detail.find("the group keeps"), std::string::npos) << refused.detail;
  const Index kept = next - 1;
  EXPECT_GT(kept * 3000, rig.options.max_bytes / 3);
  for (Index other = 2; other < 10'000; ++other) {
    const Status reserved = rig.log->reserve(2, 2064);
    ASSERT_TRUE(reserved) << other << ": " << reserved.error().to_string();
    ASSERT_TRUE(rig.append(2, 1, other, 1, 2000));
    rig.log->flush();
    rig.run();
    rig.log->compact(2, {1, other});
    // What the other group just released may admit one more.
    if (const Status more = rig.log->reserve(1, 1); !more) {
      EXPECT_EQ(more.error().code, BOP_E_LOG_FULL);
    }
    ASSERT_TRUE(rig.log->reserve(1, 60, false)) << "not of commands";
  }
  EXPECT_LE(rig.log->used_bytes(), rig.options.max_bytes);
  const auto check = [&] {
    for (Index index = 1; index <= kept;) {
      const auto entries = rig.read(1, index);
      ASSERT_TRUE(entries) << entries.error().to_string();
      for (const raft::Entry& entry : *entries)
        ASSERT_TRUE(same(entry, make_entry(1, index++, 3000)));
    }
  };
  check();
  rig.cut_power();
  rig.open();
  EXPECT_EQ(rig.found(1)->health, Health::ok) << rig.found(1)->reason;
  check();
  rig.log->compact(1, {1, kept});
  rig.run();
  EXPECT_TRUE(rig.log->reserve(1, 3064));
}

TEST(LogSpace, a_group_that_has_the_log_for_itself_may_fill_it) {
  Rig rig;
  rig.options.max_bytes = 8 * rig.options.segment_bytes;
  rig.open(true);
  Index next = 1;
  while (rig.log->reserve(1, 3064)) {
    ASSERT_TRUE(rig.append(1, 1, next++, 1, 3000));
    rig.log->flush();
    rig.run();
  }
  EXPECT_GT(next * 3000, rig.options.max_bytes / 2);
}

// Killed when the first one or two of several frames with a group's entries are written.
TEST(LogSpace, a_kill_between_the_frames_of_a_rewritten_group_loses_nothing) {
  for (uint64_t seed = 1; seed <= 24; ++seed) {
    SCOPED_TRACE(seed);
    Rig rig(seed);
    rig.options.max_bytes = 12 * rig.options.segment_bytes;
    rig.options.rewrite_above_bytes = 3 * rig.options.segment_bytes;
    rig.options.max_frame_bytes = 16 << 10;
    rig.open(true);
    rig.write(10, 3, 1, 40, 1000);
    Index next = 1;
    while (rig.log->counters().rewritten <= seed / 8) {
      rig.write(1, 1, next, 10, 2000);
      next += 10;
      rig.log->compact(1, {1, next - 5});
      const uint64_t rewritten = rig.log->counters().rewritten;
      while (rig.log->counters().rewritten == rewritten && rig.step()) {
      }
    }
    const uint64_t writes = rig.log->counters().writes;
    while (rig.log->counters().writes < writes + seed % 8 && rig.step()) {
    }
    rig.kill();
    rig.open();
    ASSERT_NE(rig.found(10), nullptr);
    EXPECT_EQ(rig.found(10)->health, Health::ok) << rig.found(10)->reason;
    const auto entries = rig.read(10, 1, 1 << 20);
    ASSERT_TRUE(entries) << entries.error().to_string();
    EXPECT_EQ(entries->size(), 40u);
  }
}

TEST(LogSpace, a_power_loss_while_cold_groups_are_rewritten_loses_nothing) {
  for (uint64_t seed = 1; seed <= 40; ++seed) {
    SCOPED_TRACE(seed);
    Rig rig(seed);
    rig.options.max_bytes = 12 * rig.options.segment_bytes;
    rig.options.rewrite_above_bytes = 3 * rig.options.segment_bytes;
    rig.open(true);
    rig.write(10, 3, 1, 40, 1000);
    rig.write(11, 3, 1, 2, 500);
    Index next = 1;
    const int rounds = 40 + static_cast<int>(seed * 3);
    for (int i = 0; i < rounds; ++i) {
      rig.write(1, 1, next, 10, 2000);
      next += 10;
      rig.log->compact(1, {1, next - 5});
      for (uint64_t s = 0; s < seed % 4; ++s) rig.step();
    }
    seed % 2 == 0 ? rig.kill() : rig.cut_power();
    rig.open();
    for (const GroupId cold : {10, 11}) {
      ASSERT_NE(rig.found(cold), nullptr);
      EXPECT_EQ(rig.found(cold)->health, Health::ok) << rig.found(cold)->reason;
      const auto entries = rig.read(cold, 1, 1 << 20);
      ASSERT_TRUE(entries) << entries.error().to_string();
      EXPECT_EQ(entries->size(), cold == 10 ? 40u : 2u);
    }
    EXPECT_EQ(rig.found(1)->last, next - 1);
    EXPECT_EQ(rig.found(1)->health, Health::ok);
  }
}

TEST(LogSpace, a_group_may_restart_behind_a_gap_after_a_compaction) {
  Rig rig;
  rig.open(true);
  rig.write(1, 1, 1, 10);
  rig.log->compact(1, {4, 50});
  rig.write(1, 5, 51, 3);
  EXPECT_EQ(rig.read(1, 51)->size(), 3u);
  rig.close();
  rig.open();
  EXPECT_EQ(rig.found(1)->health, Health::ok) << rig.found(1)->reason;
  EXPECT_EQ(rig.found(1)->before_first, (raft::EntryId{4, 50}));
  EXPECT_EQ(rig.found(1)->last, 53u);
  EXPECT_EQ(rig.found(1)->runs, (std::vector<raft::TermRun>{{51, 5}}));
}

}  // namespace
}  // namespace bop::log::testing

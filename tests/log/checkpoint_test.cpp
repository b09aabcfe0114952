// The checkpoints of groups in the log: which ones are kept and found again.
#include "log/group_history.h"
#include "rig.h"

namespace bop::log::testing {
namespace {

std::vector<uint8_t> bytes_of(size_t size, uint8_t seed) {
  std::vector<uint8_t> bytes(size);
  for (size_t i = 0; i < size; ++i) bytes[i] = static_cast<uint8_t>(seed + i * 13);
  return bytes;
}

// Appends one and waits until it is durable.
void checkpoint(Rig& rig, GroupId group, raft::EntryId at, size_t size = 200) {
  const auto bytes = bytes_of(size, static_cast<uint8_t>(at.index));
  const Status appended = rig.log->append_checkpoint(group, at, bytes);
  ASSERT_TRUE(appended) << appended.error().to_string();
  rig.run();
}

// Their indexes; their bytes must be those that checkpoint() gave them.
std::vector<Index> found(const Rig& rig, GroupId group, size_t size = 200) {
  std::vector<Index> out;
  for (const Checkpoint& one : rig.found(group)->checkpoints) {
    out.push_back(one.at.index);
    EXPECT_EQ(one.bytes, bytes_of(size, static_cast<uint8_t>(one.at.index)));
  }
  return out;
}

using Indexes = std::vector<Index>;

TEST(LogCheckpoint, of_an_empty_log_precedes_its_first_entry) {
  Rig rig;
  rig.open(true);
  checkpoint(rig, 1, {0, 0});
  rig.write(1, 1, 1, 3);
  rig.kill();
  rig.open();
  EXPECT_EQ(rig.found(1)->health, Health::ok) << rig.found(1)->reason;
  EXPECT_EQ(found(rig, 1), Indexes{0});
  EXPECT_EQ(rig.found(1)->last, 3u);
  EXPECT_EQ(rig.found(1)->before_first, (raft::EntryId{0, 0}));
}

TEST(LogCheckpoint, alone_is_all_that_a_group_may_have) {
  Rig rig;
  rig.open(true);
  checkpoint(rig, 1, {0, 0});
  rig.kill();
  rig.open();
  EXPECT_EQ(found(rig, 1), Indexes{0});
  EXPECT_EQ(rig.found(1)->last, 0u);
  EXPECT_EQ(rig.found(1)->hard, raft::HardState{});
}

TEST(LogCheckpoint, changes_neither_entries_nor_hard_state) {
  Rig rig;
  rig.open(true);
  rig.write(1, 4, 1, 10);
  checkpoint(rig, 1, {4, 6});
  rig.write(1, 4, 11, 2);
  rig.kill();
  rig.open();
  EXPECT_EQ(found(rig, 1), Indexes{6});
  EXPECT_EQ(rig.found(1)->hard, (raft::HardState{4, 3}));
  EXPECT_EQ(rig.found(1)->runs, (std::vector<raft::TermRun>{{1, 4}}));
  EXPECT_EQ(rig.found(1)->last_time_ns, 12'000);
  EXPECT_EQ(rig.read(1, 1)->size(), 12u);
}

TEST(LogCheckpoint, the_newest_two_are_kept_until_the_older_one_is_dropped) {
  Rig rig;
  rig.open(true);
  rig.write(1, 1, 1, 100);
  for (const Index at : {10, 20, 30}) checkpoint(rig, 1, {1, at});
  rig.close();
  rig.open();
  EXPECT_EQ(found(rig, 1), (Indexes{20, 30}));
  rig.log->drop_checkpoints(1, 30);
  rig.log->drop_checkpoints(1, 90);  // never the newest
  for (Index next = 101; next < 1500; next += 10) {
    rig.write(1, 1, next, 10, 2000);
    rig.log->compact(1, {1, 30});
  }
  rig.close();
  rig.open();
  EXPECT_EQ(found(rig, 1).back(), 30u);
  EXPECT_EQ(rig.found(1)->health, Health::ok) << rig.found(1)->reason;
}

TEST(LogCheckpoint, of_several_parts_counts_when_all_of_them_are_durable) {
  const size_t size = 100'000;
  for (uint64_t seed = 1; seed <= 30; ++seed) {
    SCOPED_TRACE(seed);
    Rig rig(seed);
    rig.options.max_frame_bytes = 16 << 10;
    rig.open(true);
    rig.write(1, 1, 1, 100);
    checkpoint(rig, 1, {1, 10}, size);
    ASSERT_TRUE(rig.log->append_checkpoint(1, {1, 20}, bytes_of(size, 20)));
    ASSERT_TRUE(rig.append(1, 1, 101, 1));
    rig.log->flush();
    for (uint64_t step = 0; step < seed; ++step) rig.step();
    seed % 2 == 0 ? rig.kill() : rig.cut_power();
    rig.open();
    EXPECT_EQ(rig.found(1)->health, Health::ok) << rig.found(1)->reason;
    const Indexes all = found(rig, 1, size);
    EXPECT_TRUE(all == Indexes{10} || all == (Indexes{10, 20})) << all.size();
    EXPECT_TRUE(rig.found(1)->last < 101 || all.size() == 2) << "the entry is behind it";
    checkpoint(rig, 1, {1, 30}, size);
    rig.close();
    rig.open();
    EXPECT_EQ(found(rig, 1, size).back(), 30u);
  }
}

TEST(LogCheckpoint, that_is_too_large_is_refused) {
  Rig rig;
  rig.options.max_frame_bytes = 32 << 10;
  rig.open(true);
  rig.write(1, 1, 1, 1);
  const auto bytes = bytes_of(2 << 20, 1);
  EXPECT_EQ(rig.log->append_checkpoint(1, {1, 1}, bytes).error().code, BOP_E_TOO_LARGE);
  Restart restart;
  restart.group = 1;
  restart.hard = {2, 0};
  restart.leader_term = 2;
  restart.at = {2, 9};
  restart.checkpoint = Bytes(bytes).first(40'000);  // more than one record of a frame
  EXPECT_EQ(rig.log->restart(restart).error().code, BOP_E_TOO_LARGE);
  EXPECT_EQ(rig.read(1, 1)->size(), 1u);
}

TEST(LogCheckpoint, of_a_cold_group_is_rewritten_and_does_not_pin_old_segments) {
  for (const size_t size : {200u, 50'000u}) {
    SCOPED_TRACE(size);
    Rig rig;
    rig.options.max_bytes = 16 * rig.options.segment_bytes;
    rig.options.rewrite_above_bytes = 5 * rig.options.segment_bytes;
    rig.options.max_frame_bytes = 32 << 10;
    rig.open(true);
    rig.write(7, 3, 1, 40, 500);
    checkpoint(rig, 7, {3, 20}, size);
    checkpoint(rig, 7, {3, 30}, size);
    Index next = 1;
    for (int i = 0; i < 900; ++i, next += 10) {
      rig.write(1, 1, next, 10, 2000);
      rig.log->compact(1, {1, next + 5});
      rig.run();
    }
    EXPECT_LE(rig.log->used_bytes(), 8 * rig.options.segment_bytes);
    EXPECT_GT(rig.log->counters().rewritten, 3u);
    rig.cut_power();
    rig.open();
    EXPECT_EQ(rig.found(7)->health, Health::ok) << rig.found(7)->reason;
    EXPECT_EQ(found(rig, 7, size), (Indexes{20, 30}));
    EXPECT_EQ(rig.read(7, 1)->size(), 40u);
    EXPECT_EQ(rig.found(7)->hard, (raft::HardState{3, 3}));
  }
}

Status restart(Rig& rig, GroupId group, raft::EntryId at, Bytes checkpoint) {
  Restart restart;
  restart.group = group;
  restart.hard = {9, 2};
  restart.leader_term = 9;
  restart.at = at;
  restart.time_ns = 77'000'000;
  restart.checkpoint = checkpoint;
  return rig.log->restart(restart);
}

// As when a snapshot is installed: before the end of the log, at it, and behind it.
TEST(LogCheckpoint, a_restart_drops_all_entries_and_older_checkpoints) {
  for (const Index at : {15u, 40u, 5000u}) {
    for (const size_t size : {200u, 20'000u}) {
      SCOPED_TRACE(at);
      Rig rig;
      rig.options.max_frame_bytes = 32 << 10;
      rig.open(true);
      rig.write(1, 4, 1, 40);
      checkpoint(rig, 1, {4, 10}, size);
      rig.write(2, 1, 1, 3);
      ASSERT_TRUE(restart(rig, 1, {7, at}, bytes_of(size, static_cast<uint8_t>(at))));
      rig.write(1, 9, at + 1, 3);
      EXPECT_EQ(rig.read(1, at).error().code, BOP_E_NOT_FOUND);
      EXPECT_EQ(rig.read(1, at + 1)->size(), 3u);
      rig.kill();
      rig.open();
      const RecoveredGroup* group = rig.found(1);
      EXPECT_EQ(group->health, Health::ok) << group->reason;
      EXPECT_EQ(found(rig, 1, size), Indexes{at});
      EXPECT_EQ(group->before_first, (raft::EntryId{7, at}));
      EXPECT_EQ(group->last, at + 3);
      EXPECT_EQ(group->hard.term, 9u);
      EXPECT_EQ(rig.found(2)->last, 3u);
      checkpoint(rig, 1, {9, at + 3}, size);
      rig.log->drop_checkpoints(1, at + 3);
      rig.log->compact(1, {9, at + 3});
      rig.run();
      rig.kill();
      rig.open();
      EXPECT_EQ(rig.found(1)->health, Health::ok) << rig.found(1)->reason;
      EXPECT_EQ(found(rig, 1, size).back(), at + 3);
      EXPECT_EQ(rig.found(1)->last, at + 3);
    }
  }
}

TEST(LogCheckpoint, a_crash_during_a_restart_leaves_the_old_log_or_the_new_one) {
  constexpr size_t size = 10'000;
  size_t old_ones = 0;
  size_t new_ones = 0;
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    SCOPED_TRACE(seed);
    Rig rig(seed);
    rig.options.max_frame_bytes = 16 << 10;
    rig.open(true);
    rig.write(1, 4, 1, 40);
    checkpoint(rig, 1, {4, 10}, size);
    ASSERT_TRUE(restart(rig, 1, {7, 30}, bytes_of(size, 30)));
    ASSERT_TRUE(rig.append(1, 9, 31, 1));
    rig.log->flush();
    for (uint64_t step = 0; step < seed / 2; ++step) rig.step();
    seed % 2 == 0 ? rig.kill() : rig.cut_power();
    rig.open();
    const RecoveredGroup* group = rig.found(1);
    EXPECT_EQ(group->health, Health::ok) << group->reason;
    if (group->before_first.index == 30) {
      ++new_ones;
      EXPECT_EQ(found(rig, 1, size), Indexes{30});
      EXPECT_GE(group->last, 30u);
      EXPECT_LE(group->last, 31u);
      EXPECT_EQ(group->last_time_ns, group->last == 30 ? 77'000'000 : 31'000);
    } else {
      ++old_ones;
      EXPECT_EQ(found(rig, 1, size), Indexes{10});
      EXPECT_EQ(group->last, 40u);
      EXPECT_EQ(rig.read(1, 1)->size(), 40u);
    }
  }
  EXPECT_GT(old_ones, 0u);
  EXPECT_GT(new_ones, 0u);
}

TEST(LogCheckpoint, the_configuration_entries_that_are_kept_are_found_with_their_payloads) {
  Rig rig;
  rig.open(true);
  rig.write(1, 1, 1, 5);
  raft::Entry entry = make_entry(1, 6, 40);
  entry.kind = raft::EntryKind::configuration;
  ASSERT_TRUE(rig.append(1, 1, {&entry, 1}));
  rig.write(1, 1, 7, 5);
  rig.kill();
  rig.open();
  ASSERT_EQ(rig.found(1)->configurations.size(), 1u);
  EXPECT_TRUE(same(rig.found(1)->configurations[0], entry));
  rig.write(1, 2, 6, 1);  // a later leader replaces it
  rig.kill();
  rig.open();
  EXPECT_TRUE(rig.found(1)->configurations.empty());
}

// The group compacted everything, and what was rewritten of it before is all that is left besides its checkpoint.
// (bop-sim --seed 25 --minutes 0.5, when the end of the log was taken from what was rewritten.)
TEST(LogCheckpoint, tells_that_the_log_reached_its_entry) {
  std::vector<uint8_t> stream(record_header_bytes + 2 * entry_header_bytes);
  RecordHeader header;
  header.kind = RecordKind::rewritten;
  header.group = 1;
  header.hard = {2, 0};
  header.first = 3;
  header.previous_term = 1;
  header.count = 2;
  header.bytes = static_cast<uint32_t>(stream.size());
  encode(header, stream.data());
  encode(make_entry(1, 3, 0), stream.data() + record_header_bytes);
  encode(make_entry(1, 4, 0), stream.data() + record_header_bytes + entry_header_bytes);
  std::vector<RecordView> records;
  ASSERT_TRUE(decode_records(stream, records));
  GroupHistory history;
  history.apply({make_position(3, 0), 0, header.bytes, 3, 2}, records[0]);
  EXPECT_EQ(history.index().last(), 4u);
  RecordView checkpoint;
  checkpoint.header.kind = RecordKind::checkpoint;
  checkpoint.header.first = 8;
  checkpoint.header.previous_term = 2;
  checkpoint.header.count = encode(Part{});
  history.apply({make_position(4, 0), 0, record_header_bytes, 8, checkpoint.header.count},
                checkpoint);
  const GroupIndex index = history.index();
  EXPECT_EQ(index.last(), 7u);
  EXPECT_EQ(index.before_first(), (raft::EntryId{2, 7}));
  EXPECT_TRUE(index.empty());
}

}  // namespace
}  // namespace bop::log::testing

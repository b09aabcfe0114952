// Recovery against the table of verdicts: torn writes, flipped bits, lost files.
#include <set>

#include "log/inspect.h"
#include "rig.h"

namespace bop::log::testing {
namespace {

// The findings of a read-only scan of the directory.
Recovery scan(sim::Disk& disk) {
  auto inspection = Inspection::open(disk, "wal");
  EXPECT_TRUE(inspection);
  Item item;
  for (;;) {
    const auto more = (*inspection)->next(item);
    EXPECT_TRUE(more) << more.error().to_string();
    if (!more || !*more) break;
  }
  return (*inspection)->recovery();
}

std::vector<Item> items(sim::Disk& disk) {
  auto inspection = Inspection::open(disk, "wal");
  EXPECT_TRUE(inspection);
  std::vector<Item> all;
  Item item;
  while (*(*inspection)->next(item)) all.push_back(item);
  return all;
}

const RecoveredGroup* find(const Recovery& recovery, GroupId group) {
  for (const RecoveredGroup& one : recovery.groups) {
    if (one.group == group) return &one;
  }
  return nullptr;
}

bool is_ok(const Recovery& recovery, GroupId group) {
  const RecoveredGroup* found = find(recovery, group);
  if (found == nullptr) return !recovery.others_suspect;
  return found->health == Health::ok;
}

// A frame, for the oracle of flipped bits.
struct Written {
  uint64_t offset;
  uint64_t bytes;
  FrameKind kind;
  std::set<GroupId> groups;
};

std::vector<Written> frames_of(sim::Disk& disk) {
  std::vector<Written> frames;
  for (const Item& item : items(disk)) {
    if (item.kind == ItemKind::frame) {
      frames.push_back({item.location.offset, item.bytes, item.frame_kind, {}});
    }
    if (item.kind == ItemKind::record && item.record.kind != RecordKind::summary) {
      frames.back().groups.insert(item.record.group);
    }
  }
  return frames;
}

// Whether a group is proven complete although frame `bad` is lost: it has no record in that frame, and a later
// record or a summary proves it.
bool survives(const std::vector<Written>& frames, size_t bad, GroupId group) {
  if (frames[bad].groups.contains(group)) return false;
  for (size_t i = bad + 1; i < frames.size(); ++i) {
    if (frames[i].groups.contains(group) || frames[i].kind == FrameKind::opening ||
        frames[i].kind == FrameKind::summary) {
      return true;
    }
  }
  return false;
}

constexpr const char* first_file = "wal/0000000000000001.seg";

// A log of a few blocks: several groups, two epochs, frames of one block and of several.
void write_small_log(Rig& rig) {
  rig.open(true);
  rig.write(1, 1, 1, 3);
  rig.write(2, 1, 1, 1);
  rig.write(1, 2, 3, 6, 1200);  // two blocks, and it replaces an entry
  rig.kill();
  rig.open();
  rig.write(3, 4, 1, 1);
  rig.write(2, 5, 2, 0);
  rig.write(1, 3, 9, 1);
  rig.kill();
  // The segment made in advance would only cost time.
  ASSERT_TRUE(rig.disk.remove_now("wal/0000000000000002.seg"));
}

void expect_flip_verdict(Rig& rig, const std::vector<Written>& frames, uint64_t offset) {
  const Recovery recovery = scan(rig.disk);
  ASSERT_FALSE(recovery.torn);
  ASSERT_EQ(recovery.location.file, first_file);
  ASSERT_EQ(recovery.location.offset, offset / block_bytes * block_bytes);
  size_t hit = frames.size();
  for (size_t i = 0; i < frames.size(); ++i) {
    if (offset >= frames[i].offset && offset < frames[i].offset + frames[i].bytes) hit = i;
  }
  const bool damage = hit + 1 < frames.size();
  ASSERT_EQ(recovery.damaged, damage);
  ASSERT_EQ(recovery.suspect, !damage);
  for (const GroupId group : {1, 2, 3}) {
    const bool expected = damage && survives(frames, hit, group);
    ASSERT_EQ(is_ok(recovery, group), expected) << "group " << group << ", frame " << hit;
  }
}

// Cuts the segment one block behind the last frame, as if segments were that short: a scan takes time in
// proportion to the file, and there is one for every bit.
void shorten(Rig& rig, uint64_t bytes) {
  auto image = rig.disk.image();
  auto& file = image.at(first_file);
  file.resize(bytes);
  for (uint64_t offset = 0; offset < bytes; offset += block_bytes) {
    BlockFacts facts =
        inspect_block(Bytes(file).subspan(offset, block_bytes), rig.options.log_id, 1, offset);
    if (facts.state != BlockState::written) continue;
    facts.header.segment_blocks = static_cast<uint32_t>(bytes / block_bytes);
    finish_block(file.data() + offset, facts.header);
  }
  rig.disk.load(image);
}

TEST(LogRecovery, every_flipped_bit_gets_the_verdict_of_the_table) {
  Rig rig;
  write_small_log(rig);
  const auto frames = frames_of(rig.disk);
  ASSERT_GE(frames.size(), 8u);
  const uint64_t bytes = frames.back().offset + frames.back().bytes + block_bytes;
  ASSERT_LE(bytes, 13 * block_bytes);
  shorten(rig, bytes);
  const Recovery sound = scan(rig.disk);
  ASSERT_FALSE(sound.torn || sound.damaged || sound.suspect);
  for (const GroupId group : {1, 2, 3}) ASSERT_TRUE(is_ok(sound, group));
  for (uint64_t offset = 0; offset < bytes; ++offset) {
    SCOPED_TRACE(offset);
    for (int bit = 0; bit < 8; ++bit) {
      rig.disk.flip_bit(first_file, offset, bit);
      expect_flip_verdict(rig, frames, offset);
      if (::testing::Test::HasFatalFailure()) return;
      rig.disk.flip_bit(first_file, offset, bit);
    }
  }
}

// The next frame would begin at the first block behind the last one, and may have been there.
TEST(LogRecovery, a_bad_block_right_behind_the_last_frame_is_suspect) {
  Rig rig;
  write_small_log(rig);
  const auto frames = frames_of(rig.disk);
  const uint64_t end = frames.back().offset + frames.back().bytes;
  rig.disk.lose_sector(first_file, end + 512);
  const Recovery recovery = scan(rig.disk);
  EXPECT_TRUE(recovery.suspect);
  EXPECT_EQ(recovery.location.offset, end);
  EXPECT_FALSE(is_ok(recovery, 1));
}

void expect_only_reported(const Recovery& recovery, uint64_t offset) {
  EXPECT_FALSE(recovery.torn || recovery.suspect || recovery.damaged || recovery.others_suspect);
  for (const GroupId group : {1, 2, 3}) EXPECT_TRUE(is_ok(recovery, group));
  EXPECT_NE(recovery.bad_behind_end.find(std::string(first_file) + " at " +
                                         std::to_string(offset / block_bytes * block_bytes)),
            std::string::npos)
      << recovery.bad_behind_end;
}

// The block before it has its old content, so no frame was ever complete there or behind it.
TEST(LogRecovery, a_bad_block_further_behind_the_last_frame_is_reported_and_affects_no_group) {
  Rig rig;
  write_small_log(rig);
  const auto frames = frames_of(rig.disk);
  const uint64_t next = frames.back().offset + frames.back().bytes + block_bytes;
  for (uint64_t offset = next; offset < rig.options.segment_bytes; offset += 4001) {
    SCOPED_TRACE(offset);
    rig.disk.flip_bit(first_file, offset, 3);
    expect_only_reported(scan(rig.disk), offset);
    rig.disk.flip_bit(first_file, offset, 3);
  }
  EXPECT_EQ(scan(rig.disk).bad_behind_end, "");
  rig.disk.lose_sector(first_file, next);
  expect_only_reported(scan(rig.disk), next);
  const auto all = items(rig.disk);
  EXPECT_EQ(all.back().kind, ItemKind::problem);
  EXPECT_EQ(all.back().location.offset, next);
}

TEST(LogRecovery, a_log_overwrites_an_unreadable_block_behind_its_end) {
  Rig rig;
  write_small_log(rig);
  rig.disk.lose_sector(first_file, 40 * block_bytes);
  for (int life = 0; life < 3; ++life) {
    SCOPED_TRACE(life);
    rig.open();
    for (const GroupId group : {1, 2, 3}) {
      ASSERT_EQ(rig.found(group)->health, Health::ok) << rig.found(group)->reason;
    }
    for (int i = 0; i < 8; ++i) rig.write(1, 3, rig.found(1)->last + 1 + 5 * i, 5, 2500);
    life == 1 ? rig.kill() : rig.close();
  }
  rig.open();
  EXPECT_EQ(rig.found(1)->last, 9u + 3 * 40);
  EXPECT_EQ(rig.log->recovery().bad_behind_end, "") << "the log has passed it";
  EXPECT_EQ(rig.read(1, 1, 10 << 20)->size(), 9u + 3 * 40);
}

// The bad block may belong to a frame in the next segment, if the log continued there.
TEST(LogRecovery, a_bad_block_at_the_beginning_of_the_next_segment_is_suspect) {
  Rig rig;
  rig.open(true);
  rig.write(1, 1, 1, 3);
  rig.close();
  rig.disk.lose_sector("wal/0000000000000002.seg", 0);
  EXPECT_TRUE(scan(rig.disk).suspect);
  Rig other;
  other.open(true);
  other.write(1, 1, 1, 3);
  other.close();
  other.disk.lose_sector("wal/0000000000000002.seg", block_bytes);
  EXPECT_FALSE(scan(other.disk).suspect);
}

// ---- tears ----

uint32_t segment_number_of_last(Rig& rig) {
  uint32_t number = 0;
  for (const Item& item : items(rig.disk)) {
    if (item.kind == ItemKind::frame) number = segment_number(item.location.file.substr(4));
  }
  return number;
}

struct TearCase {
  sim::Disk::Image before;  // without the last frame
  std::vector<uint8_t> after;
  std::string file;
  uint64_t offset = 0;  // of the last frame
  uint64_t bytes = 0;
  Index acknowledged = 0;  // of group 1
  Index last = 0;
};

// Separates the last frame, of `entries` entries of 1 KB, from the content before it was written.
TearCase prepare(Rig& rig, Index next, size_t entries) {
  TearCase out;
  rig.run();
  out.before = rig.disk.image();
  out.acknowledged = next - 1;
  rig.write(1, 1, next, entries, 1000);
  rig.run();
  out.last = next - 1 + entries;
  const auto all = items(rig.disk);
  for (const Item& item : all) {
    if (item.kind != ItemKind::frame) continue;
    out.file = item.location.file;
    out.offset = item.location.offset;
    out.bytes = item.bytes;
  }
  out.after = rig.disk.bytes(out.file);
  return out;
}

void expect_tear_verdict(Rig& rig, const TearCase& tear, const std::vector<bool>& written) {
  auto& bytes = rig.disk.bytes(tear.file);
  const auto& old = tear.before.at(tear.file);
  size_t sectors = 0;
  for (size_t s = 0; s < written.size(); ++s) {
    const auto from = static_cast<long>(tear.offset + s * sector_bytes);
    const auto& source = written[s] ? tear.after : old;
    std::copy_n(source.begin() + from, sector_bytes, bytes.begin() + from);
    sectors += written[s];
  }
  const Recovery recovery = scan(rig.disk);
  ASSERT_FALSE(recovery.damaged);
  ASSERT_FALSE(recovery.suspect);
  ASSERT_EQ(recovery.torn, sectors > 0 && sectors < written.size());
  if (recovery.torn) {
    ASSERT_EQ(recovery.cut.file, tear.file);
    ASSERT_EQ(recovery.cut.offset, tear.offset);
  }
  const RecoveredGroup* group = find(recovery, 1);
  ASSERT_NE(group, nullptr);
  ASSERT_EQ(group->health, Health::ok) << group->reason;
  ASSERT_EQ(group->last, sectors == written.size() ? tear.last : tear.acknowledged);
}

// At every 512 bytes, with every subset of blocks missing.
void tear_everywhere(Rig& rig, const TearCase& tear) {
  rig.log.reset();
  rig.disk.load(tear.before);
  const size_t sectors = tear.bytes / sector_bytes;
  const size_t blocks = tear.bytes / block_bytes;
  for (size_t reached = 0; reached <= sectors; ++reached) {
    for (size_t missing = 0; missing < size_t{1} << blocks; ++missing) {
      std::vector<bool> written(sectors);
      for (size_t s = 0; s < sectors; ++s) {
        written[s] = s < reached && (missing >> (s / sectors_per_block) & 1) == 0;
      }
      SCOPED_TRACE(reached * 1000 + missing);
      expect_tear_verdict(rig, tear, written);
      if (::testing::Test::HasFatalFailure()) return;
    }
  }
  Random random(7);
  for (int i = 0; i < 200; ++i) {
    std::vector<bool> written(sectors);
    for (size_t s = 0; s < sectors; ++s) written[s] = random.chance(1, 2);
    expect_tear_verdict(rig, tear, written);
    if (::testing::Test::HasFatalFailure()) return;
  }
}

TEST(LogRecovery, a_torn_last_frame_is_cut_and_reported) {
  for (const size_t entries : {1, 5, 10, 17}) {
    SCOPED_TRACE(entries);
    Rig rig;
    rig.open(true);
    rig.write(1, 1, 1, 3, 1000);
    rig.write(2, 1, 1, 1);
    tear_everywhere(rig, prepare(rig, 4, entries));
  }
}

TEST(LogRecovery, a_torn_last_frame_over_a_recycled_segment_is_cut_and_reported) {
  for (const size_t entries : {1, 10, 17}) {
    SCOPED_TRACE(entries);
    Rig rig;
    rig.open(true);
    Index next = 1;
    while (segment_number_of_last(rig) < 8) {
      rig.write(1, 1, next, 7, 1000);
      next += 7;
      rig.log->compact(1, {1, next - 2});
    }
    const TearCase tear = prepare(rig, next, entries);
    const BlockFacts beneath =
        inspect_block(Bytes(tear.before.at(tear.file)).subspan(tear.offset, block_bytes),
                      rig.options.log_id, 8, tear.offset);
    ASSERT_EQ(beneath.state, BlockState::stale);
    tear_everywhere(rig, tear);
  }
}

TEST(LogRecovery, a_torn_last_frame_over_the_rest_of_an_earlier_tear_is_cut_and_reported) {
  for (const size_t entries : {5, 17}) {
    SCOPED_TRACE(entries);
    Rig rig;
    rig.open(true);
    rig.write(1, 1, 1, 3, 1000);
    const TearCase first = prepare(rig, 4, 17);
    // All but the first block of it reached the disk.
    rig.log.reset();
    rig.disk.load(first.before);
    auto& bytes = rig.disk.bytes(first.file);
    std::copy(first.after.begin() + static_cast<long>(first.offset + block_bytes),
              first.after.end(), bytes.begin() + static_cast<long>(first.offset + block_bytes));
    rig.numbers.clear();
    rig.appender(1) = TestAppender{};
    rig.open();
    EXPECT_TRUE(rig.log->recovery().torn);
    EXPECT_EQ(rig.found(1)->last, 3u);
    tear_everywhere(rig, prepare(rig, 4, entries));
  }
}

// A torn frame and a bad block behind it: among the frame's blocks it may have been acknowledged, but not
// behind a block that the frame's write did not reach.
TEST(LogRecovery, a_bad_block_behind_a_torn_frame_is_suspect_only_if_the_frame_may_be_whole) {
  Rig rig;
  rig.open(true);
  rig.write(1, 1, 1, 3, 1000);
  const TearCase tear = prepare(rig, 4, 17);
  const size_t blocks = tear.bytes / block_bytes;
  ASSERT_GE(blocks, 4u);
  rig.log.reset();
  rig.disk.load(tear.before);
  auto& bytes = rig.disk.bytes(tear.file);
  const auto put = [&](size_t block, const std::vector<uint8_t>& from) {
    const auto at = static_cast<long>(tear.offset + block * block_bytes);
    std::copy_n(from.begin() + at, block_bytes, bytes.begin() + at);
  };
  for (size_t block = 0; block < blocks; ++block) put(block, tear.after);
  put(1, tear.before.at(tear.file));
  rig.disk.lose_sector(tear.file, tear.offset + 2 * block_bytes);
  const Recovery torn = scan(rig.disk);
  EXPECT_TRUE(torn.torn);
  EXPECT_FALSE(torn.suspect || torn.damaged);
  EXPECT_EQ(torn.cut.offset, tear.offset);
  EXPECT_EQ(find(torn, 1)->last, tear.acknowledged);
  put(1, tear.after);
  const Recovery suspect = scan(rig.disk);
  EXPECT_TRUE(suspect.suspect);
  EXPECT_FALSE(is_ok(suspect, 1));
}

// ---- after the verdict ----

TEST(LogRecovery, a_suspect_log_opens_serves_new_groups_and_stays_suspect) {
  Rig rig;
  write_small_log(rig);
  const auto frames = frames_of(rig.disk);
  rig.disk.flip_bit(first_file, frames.back().offset + 200, 1);
  for (int life = 0; life < 4; ++life) {
    SCOPED_TRACE(life);
    rig.open();
    const Recovery& recovery = rig.log->recovery();
    EXPECT_EQ(recovery.suspect, life == 0);
    EXPECT_EQ(recovery.damaged, life > 0) << "proven by what was written behind it";
    EXPECT_TRUE(recovery.others_suspect);
    for (const GroupId group : {1, 2, 3}) {
      EXPECT_EQ(rig.found(group)->health, Health::suspect);
      EXPECT_EQ(rig.found(group)->location.file, first_file);
      EXPECT_EQ(rig.found(group)->location.offset, frames.back().offset);
      EXPECT_NE(rig.found(group)->reason, "");
      EXPECT_EQ(rig.append(group, 9, 20, 0).error().code, BOP_E_SUSPECT);
    }
    const Index next = life == 0 ? 1 : rig.found(50)->last + 1;
    if (life > 0) {
      EXPECT_EQ(rig.found(50)->health, Health::ok) << rig.found(50)->reason;
    }
    rig.write(50, 1, next, 3);
    life % 2 == 0 ? rig.kill() : rig.close();
  }
}

// The last process wrote nothing but the first frame of its epoch, which rots.
TEST(LogRecovery, an_epoch_whose_only_frames_cannot_be_read_is_not_begun_again) {
  Rig rig;
  write_small_log(rig);
  std::vector<uint64_t> epochs;
  for (int life = 0; life < 3; ++life) {
    rig.open();
    epochs.push_back(rig.log->recovery().epoch);
    rig.kill();
  }
  const auto frames = frames_of(rig.disk);
  for (size_t lost = 1; lost <= 2; ++lost)
    for (uint64_t at = 100; at < block_bytes; at += 512)  // no sector tells the epoch
      rig.disk.flip_bit(first_file, frames[frames.size() - lost].offset + at, 1);
  rig.open();
  EXPECT_TRUE(rig.log->recovery().suspect);
  EXPECT_GT(rig.log->recovery().epoch, epochs.back());
}

TEST(LogRecovery, segments_from_a_gap_on_are_kept_while_a_group_is_suspect) {
  Rig rig;
  write_small_log(rig);
  rig.disk.flip_bit(first_file, 5000, 1);
  rig.open();
  for (Index next = 1; next < 1000; next += 10) {
    rig.write(50, 1, next, 10, 2000);
    rig.log->compact(50, {1, next + 5});
  }
  rig.run_until_sealed();
  EXPECT_TRUE(rig.disk.exists(first_file));
  rig.close();
  rig.open();
  EXPECT_EQ(rig.found(1)->health, Health::suspect);
  EXPECT_EQ(rig.found(50)->health, Health::ok) << rig.found(50)->reason;
}

TEST(LogRecovery, damage_that_affects_no_group_is_reported_and_does_not_pin_its_segment) {
  Rig rig;
  rig.open(true);
  rig.write(1, 1, 1, 1);
  rig.run_until_sealed();  // a sealing frame
  const auto frames = frames_of(rig.disk);
  rig.write(1, 1, 2, 1);
  rig.close();
  rig.open();  // a summary of all groups behind it
  rig.close();
  ASSERT_EQ(frames.back().kind, FrameKind::seal);
  rig.disk.flip_bit(first_file, frames.back().offset + 700, 0);
  rig.open();
  EXPECT_TRUE(rig.log->recovery().damaged);
  EXPECT_FALSE(rig.log->recovery().others_suspect);
  EXPECT_EQ(rig.found(1)->health, Health::ok) << rig.found(1)->reason;
  for (Index next = 3; next < 1000; next += 10) {
    rig.write(1, 1, next, 10, 2000);
    rig.log->compact(1, {1, next + 5});
  }
  rig.run_until_sealed();
  rig.close();
  rig.open();
  EXPECT_FALSE(rig.log->recovery().damaged) << "its segment was used again";
}

TEST(LogRecovery, a_sealed_log_proves_its_end) {
  // The last frame is acknowledged. Without a seal, losing all of it looks as if it was never written; with
  // a seal it is damage.
  for (const bool sealed : {false, true}) {
    Rig rig;
    rig.open(true);
    rig.write(1, 1, 1, 3);
    rig.run();
    const auto before = rig.disk.image();
    rig.write(1, 1, 4, 1);
    const auto frames = frames_of(rig.disk);
    if (sealed) rig.run_until_sealed();
    rig.kill();
    auto& bytes = rig.disk.bytes(first_file);
    const auto at = static_cast<long>(frames.back().offset);
    std::copy_n(before.at(first_file).begin() + at, block_bytes, bytes.begin() + at);
    const Recovery recovery = scan(rig.disk);
    EXPECT_EQ(recovery.damaged, sealed);
    EXPECT_EQ(is_ok(recovery, 1), !sealed);
  }
}

TEST(LogRecovery, a_sector_that_cannot_be_read_is_named) {
  Rig rig;
  write_small_log(rig);
  const auto frames = frames_of(rig.disk);
  rig.disk.lose_sector(first_file, frames[2].offset + 512);
  const Recovery recovery = scan(rig.disk);
  EXPECT_TRUE(recovery.damaged);
  EXPECT_EQ(recovery.location.offset, frames[2].offset);
}

TEST(LogRecovery, a_missing_segment_is_damage) {
  Rig rig;
  rig.open(true);
  rig.write(2, 1, 1, 1);
  rig.write(1, 1, 1, 400, 2000);
  rig.write(3, 1, 1, 1);
  rig.kill();
  ASSERT_TRUE(rig.disk.remove_now("wal/0000000000000002.seg"));
  rig.open();
  EXPECT_TRUE(rig.log->recovery().damaged);
  EXPECT_EQ(rig.found(1)->health, Health::suspect);
  EXPECT_EQ(rig.found(1)->location.file, "wal/0000000000000002.seg");
  EXPECT_EQ(rig.found(2)->health, Health::ok) << "the summary of a later segment names its record";
  EXPECT_EQ(rig.found(3)->health, Health::ok);
}

TEST(LogRecovery, a_file_that_was_cut_short_is_suspect) {
  Rig rig;
  write_small_log(rig);
  const auto frames = frames_of(rig.disk);
  auto image = rig.disk.image();
  image.at(first_file).resize(frames.back().offset);
  rig.disk.load(image);
  rig.open();
  EXPECT_TRUE(rig.log->recovery().suspect);
  EXPECT_EQ(rig.found(1)->health, Health::suspect);
}

TEST(LogRecovery, a_file_without_a_byte_is_suspect) {
  for (const size_t entries : {1, 400}) {  // in the first segment, and in a later one
    Rig rig;
    rig.open(true);
    rig.write(1, 1, 1, entries, 2000);
    rig.close();
    std::string last;
    for (const Item& item : items(rig.disk)) {
      if (item.kind == ItemKind::frame) last = item.location.file;
    }
    auto image = rig.disk.image();
    ASSERT_TRUE(image.contains("wal/" + segment_name(segment_number(last.substr(4)) + 1)))
        << "the log could go on there";
    image.at(last).clear();
    rig.disk.load(image);
    rig.open();
    EXPECT_TRUE(rig.log->recovery().suspect);
    EXPECT_EQ(rig.log->recovery().location.file, last);
    EXPECT_EQ(rig.log->recovery().location.offset, 0u);
    EXPECT_FALSE(is_ok(rig.log->recovery(), 1));
  }
}

TEST(LogRecovery, reading_a_damaged_entry_reports_file_and_offset) {
  Rig rig;
  rig.open(true);
  rig.write(1, 1, 1, 10, 1000);
  const auto frames = frames_of(rig.disk);
  rig.disk.flip_bit(first_file, frames.back().offset + 2000, 5);
  const auto entries = rig.read(1, 2);
  ASSERT_FALSE(entries);
  EXPECT_EQ(entries.error().code, BOP_E_DAMAGED);
  EXPECT_NE(entries.error().detail.find(first_file), std::string::npos) << entries.error().detail;
}

TEST(LogRecovery, another_format_is_refused_by_name) {
  for (const bool newer : {true, false}) {
    Rig rig;
    write_small_log(rig);
    BlockHeader header;
    header.version = newer ? format_version + 1 : format_version - 1;
    header.log_id = rig.options.log_id;
    header.position = make_position(1, 40 * block_bytes);
    finish_block(rig.disk.bytes(first_file).data() + 40 * block_bytes, header);
    const auto image = rig.disk.image();
    EXPECT_EQ(rig.try_open(false).error().code, newer ? BOP_E_NEWER_FORMAT : BOP_E_OLDER_FORMAT);
    EXPECT_EQ(rig.disk.image(), image) << "nothing was changed";
  }
}

// ---- records of a newer version, in blocks of this one ----

// Changes the first record of a group as another version might have written it. `change` is given the bytes
// of the record in its frame's first block.
template <class Change>
void rewrite_record(Rig& rig, GroupId group, Change&& change) {
  for (const Item& item : items(rig.disk)) {
    if (item.kind != ItemKind::record || item.record.group != group) continue;
    uint8_t* block = rig.disk.bytes(first_file).data() + item.location.offset;
    const BlockFacts facts =
        inspect_block({block, block_bytes}, rig.options.log_id, 1, item.location.offset);
    ASSERT_EQ(facts.state, BlockState::written);
    change(block + block_header_bytes);
    return finish_block(block, facts.header);
  }
  FAIL() << "no record of group " << group;
}

// Group 2 has one record, which is alone in its frame.
void expect_group_2_is_left_to_a_newer_version(Rig& rig, const std::string& what) {
  rig.open();
  ASSERT_NE(rig.found(2), nullptr);
  EXPECT_EQ(rig.found(2)->health, Health::newer);
  EXPECT_NE(rig.found(2)->reason.find(what), std::string::npos) << rig.found(2)->reason;
  EXPECT_EQ(rig.found(2)->location.file, first_file);
  EXPECT_EQ(rig.append(2, 9, 5, 1).error().code, BOP_E_NEWER_FORMAT);
  EXPECT_EQ(rig.found(1)->health, Health::ok);
  rig.write(1, 9, rig.found(1)->last + 1, 2);
}

TEST(LogRecovery,
     a_group_with_an_entry_of_a_newer_version_is_left_alone_and_the_others_are_served) {
  const size_t entry_at = record_header_bytes;
  const struct {
    size_t at;
    uint8_t byte;
    const char* what;
  } changes[] = {
      {4, 5, "an unknown kind"},  // answers
      {5, 4, "unknown flags"},    // the group ends
      {76, 1, "a generation"},
      {entry_at + 6, 3, "an unknown kind"},  // an entry that opens a session
      {entry_at + 7, 1, "unknown flags"},
      {entry_at + 32, 1, "a session"},
      {entry_at + 40, 1, "a session"},
      {entry_at + 52, 1, "a session"},
  };
  for (const auto& change : changes) {
    SCOPED_TRACE(std::to_string(change.at));
    Rig rig;
    write_small_log(rig);
    rewrite_record(rig, 2, [&](uint8_t* record) { record[change.at] = change.byte; });
    expect_group_2_is_left_to_a_newer_version(rig, change.what);
  }
}

TEST(LogRecovery, an_extension_of_an_entry_is_never_skipped) {
  Rig rig;
  write_small_log(rig);
  // The last 4 bytes of the payload become the extension.
  rewrite_record(rig, 2, [](uint8_t* record) {
    uint8_t* entry = record + record_header_bytes;
    store_le<uint32_t>(entry, load_le<uint32_t>(entry) - 4);
    store_le<uint16_t>(entry + 4, 4);
  });
  expect_group_2_is_left_to_a_newer_version(rig, "an extension");
}

TEST(LogRecovery, records_of_a_newer_version_are_kept_whatever_the_others_write) {
  Rig rig;
  write_small_log(rig);
  rewrite_record(rig, 2, [](uint8_t* record) { record[4] = 5; });
  const std::vector<uint8_t> before = rig.disk.bytes(first_file);
  rig.open();
  Index next = rig.found(1)->last + 1;
  for (int i = 0; i < 40; ++i, next += 10) {
    rig.write(1, 9, next, 10, 4000);
    rig.log->compact(1, {9, next + 9});
  }
  rig.close();
  rig.open();
  EXPECT_EQ(rig.found(2)->health, Health::newer);
  EXPECT_EQ(rig.found(1)->health, Health::ok) << rig.found(1)->reason;
  const auto& after = rig.disk.bytes(first_file);
  EXPECT_TRUE(std::equal(before.begin(), before.begin() + 4 * block_bytes, after.begin()));
}

}  // namespace
}  // namespace bop::log::testing

#include "sim/disk.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <set>

namespace bop::sim {
namespace {

struct Done : port::FileCompletion {
  void complete(Result<size_t> result) override { last = std::move(result), ++count; }
  Result<size_t> last = size_t{0};
  int count = 0;
};

std::vector<uint8_t> pattern(size_t size, uint8_t first) {
  std::vector<uint8_t> bytes(size);
  std::iota(bytes.begin(), bytes.end(), first);
  return bytes;
}

std::vector<uint8_t> read_all(Disk& disk, const std::string& name) {
  auto file = disk.open_now(name, {.read_only = true});
  std::vector<uint8_t> bytes((*file)->size().value());
  EXPECT_EQ((*file)->read_now(0, bytes), bytes.size());
  return bytes;
}

// A file whose name and first bytes are on the device.
std::unique_ptr<port::File> make_file(Disk& disk, const std::string& name, Bytes bytes,
                                      bool synchronous) {
  auto file = disk.open_now(name, {.create = true, .synchronous = synchronous});
  EXPECT_TRUE((*file)->write_now(0, bytes));
  EXPECT_TRUE((*file)->sync_now());
  EXPECT_TRUE(disk.sync_directory_now(""));
  return std::move(*file);
}

TEST(Disk, completes_only_when_it_is_pumped) {
  Disk disk(1);
  const auto old = pattern(1024, 0), fresh = pattern(1024, 7);
  auto file = make_file(disk, "a", old, true);
  Done done;
  const Bytes parts[] = {Bytes(fresh).first(100), Bytes(fresh).subspan(100)};
  file->write(0, parts, done);
  EXPECT_EQ(done.count, 0);
  EXPECT_EQ(read_all(disk, "a"), old);
  EXPECT_TRUE(disk.step());
  EXPECT_EQ(done.count, 1);
  EXPECT_EQ(done.last, 1024u);
  EXPECT_EQ(read_all(disk, "a"), fresh);
  EXPECT_FALSE(disk.step());
}

TEST(Disk, keeps_a_synchronous_write_through_a_power_loss) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    Disk disk(seed);
    auto file = make_file(disk, "a", pattern(4096, 0), true);
    const auto fresh = pattern(4096, 9);
    ASSERT_TRUE(file->write_now(0, fresh));
    disk.power_loss();
    EXPECT_EQ(read_all(disk, "a"), fresh);
  }
}

TEST(Disk, tears_a_write_under_way_at_sectors_only) {
  bool torn = false;
  for (uint64_t seed = 0; seed < 20; ++seed) {
    Disk disk(seed);
    const std::vector<uint8_t> old(4096, 1), fresh(4096, 2);
    auto file = make_file(disk, "a", old, true);
    Done done;
    const Bytes parts[] = {fresh};
    file->write(0, parts, done);
    disk.power_loss();
    EXPECT_EQ(done.count, 0);
    const auto found = read_all(disk, "a");
    for (size_t sector = 0; sector < 8; ++sector) {
      const auto begin = found.begin() + static_cast<long>(sector * 512);
      EXPECT_EQ(std::count(begin, begin + 512, *begin), 512);
    }
    torn |= found != old && found != fresh;
  }
  EXPECT_TRUE(torn);
}

TEST(Disk, loses_unsynced_bytes_with_the_power_but_not_with_the_process) {
  bool lost = false;
  for (uint64_t seed = 0; seed < 20; ++seed) {
    Disk disk(seed);
    const std::vector<uint8_t> old(4096, 1), fresh(4096, 2);
    auto file = make_file(disk, "a", old, false);
    ASSERT_TRUE(file->write_now(0, fresh));
    disk.process_crash();
    EXPECT_EQ(read_all(disk, "a"), fresh);
    disk.power_loss();
    lost |= read_all(disk, "a") != fresh;
  }
  EXPECT_TRUE(lost);
}

TEST(Disk, keeps_the_first_so_many_directory_changes_that_were_not_synced) {
  std::set<size_t> kept;
  for (uint64_t seed = 0; seed < 40; ++seed) {
    Disk disk(seed);
    for (const char* name : {"d/a", "d/b", "d/c"}) {
      ASSERT_TRUE(disk.open_now(name, {.create = true}));
    }
    ASSERT_TRUE(disk.make_directory_now("d"));
    disk.power_loss();
    const auto names = disk.list_now("d").value();
    const std::vector<std::string> all = {"a", "b", "c"};
    EXPECT_TRUE(std::equal(names.begin(), names.end(), all.begin()));
    kept.insert(names.size());
  }
  EXPECT_EQ(kept.size(), 4u);
}

TEST(Disk, makes_directories_with_their_parents_and_lists_them) {
  Disk disk(1);
  ASSERT_TRUE(disk.make_directory_now("x/y/z"));
  make_file(disk, "x/file", pattern(512, 1), true);
  EXPECT_EQ(disk.list_now("x").value(), (std::vector<std::string>{"file", "y"}));
  EXPECT_EQ(disk.list_now("x/y").value(), std::vector<std::string>{"z"});
  EXPECT_TRUE(disk.list_now("x/y/z").value().empty());
  EXPECT_EQ(disk.list_now("z").error().code, BOP_E_NOT_FOUND);
}

TEST(Disk, renames_in_one_step) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    Disk disk(seed);
    make_file(disk, "a", pattern(512, 3), true);
    ASSERT_TRUE(disk.rename_now("a", "b"));
    disk.power_loss();
    EXPECT_NE(disk.exists("a"), disk.exists("b"));
  }
}

TEST(Disk, is_full_by_name_and_takes_writes_within_its_files) {
  Disk disk(1);
  auto file = make_file(disk, "a", pattern(4096, 0), true);
  disk.set_capacity(4096);
  EXPECT_EQ(file->write_now(4096, pattern(512, 0)).error().code, BOP_E_DISK_FULL);
  EXPECT_TRUE(file->write_now(0, pattern(4096, 1)));
}

TEST(Disk, fails_the_operation_it_was_told_to) {
  Disk disk(1);
  auto file = make_file(disk, "a", pattern(512, 0), true);
  disk.fail(DiskOperation::write, BOP_E_IO, 2);
  EXPECT_TRUE(file->write_now(0, pattern(512, 1)));
  EXPECT_EQ(file->write_now(0, pattern(512, 2)).error().code, BOP_E_IO);
  EXPECT_TRUE(file->write_now(0, pattern(512, 3)));
}

TEST(Disk, cannot_read_a_lost_sector_until_it_is_written) {
  Disk disk(1);
  auto file = make_file(disk, "a", pattern(4096, 0), true);
  disk.lose_sector("a", 1024);
  std::vector<uint8_t> bytes(512);
  EXPECT_TRUE(file->read_now(512, bytes));
  EXPECT_EQ(file->read_now(1024, bytes).error().code, BOP_E_IO);
  ASSERT_TRUE(file->write_now(1024, bytes));
  EXPECT_TRUE(file->read_now(1024, bytes));
}

// A write of `fresh` over `old` is under way in the file "a" when its process is killed.
struct LateWrite {
  explicit LateWrite(uint64_t seed) : disk(seed) {
    auto file = make_file(disk, "a", old, true);
    const Bytes parts[] = {fresh};
    file->write(0, parts, done);
    disk.process_crash_with_late_writes();
  }
  const std::vector<uint8_t> old = pattern(4096, 0);
  const std::vector<uint8_t> fresh = pattern(4096, 7);
  Disk disk;
  Done done;
};

TEST(Disk, a_late_write_lands_after_its_process_was_killed) {
  LateWrite late(1);
  EXPECT_EQ(read_all(late.disk, "a"), late.old);
  EXPECT_EQ(late.disk.late_writes(), 1u);
  late.disk.land_late_writes();
  EXPECT_EQ(read_all(late.disk, "a"), late.fresh);
  EXPECT_EQ(late.done.count, 0) << "nobody is left to be told";
}

TEST(Disk, a_file_is_opened_for_writing_after_the_late_writes_to_it_or_not_at_all) {
  bool waited = false, refused = false;
  for (uint64_t seed = 1; seed < 40; ++seed) {
    LateWrite late(seed);
    const auto file = late.disk.open_now("a", {});
    waited |= file.has_value();
    refused |= !file.has_value();
    if (!file) {
      EXPECT_EQ(file.error().code, BOP_E_DIRECTORY_IN_USE);
      continue;
    }
    EXPECT_EQ(read_all(late.disk, "a"), late.fresh);
    EXPECT_EQ(late.disk.late_writes(), 0u);
    EXPECT_EQ(late.disk.waited_for(), 1u);
  }
  EXPECT_TRUE(waited && refused);
}

TEST(Disk, without_locks_a_late_write_overwrites_what_its_successor_wrote) {
  LateWrite late(1);
  late.disk.set_faults({.ignore_locks = true});
  auto file = late.disk.open_now("a", {.synchronous = true});
  ASSERT_TRUE((*file)->write_now(0, pattern(4096, 99)));
  late.disk.land_late_writes();
  EXPECT_EQ(read_all(late.disk, "a"), late.fresh);
}

TEST(Disk, a_power_loss_tears_late_writes) {
  bool torn = false;
  for (uint64_t seed = 1; seed < 20; ++seed) {
    LateWrite late(seed);
    late.disk.power_loss();
    EXPECT_EQ(late.disk.late_writes(), 0u);
    const auto found = read_all(late.disk, "a");
    torn |= found != late.old && found != late.fresh;
  }
  EXPECT_TRUE(torn);
}

TEST(Disk, completes_what_was_due_while_it_was_stalled) {
  std::vector<std::function<void()>> tasks;
  Disk disk(1, [&](Duration, std::function<void()> task) { tasks.push_back(std::move(task)); });
  auto file = make_file(disk, "a", pattern(512, 0), true);
  const auto bytes = pattern(512, 1);
  const Bytes parts[] = {bytes};
  Done done;
  file->write(0, parts, done);
  disk.stall(true);
  std::exchange(tasks, {}).at(0)();
  EXPECT_EQ(done.count, 0);
  disk.stall(false);
  std::exchange(tasks, {}).at(0)();
  EXPECT_EQ(done.count, 1);
}

}  // namespace
}  // namespace bop::sim

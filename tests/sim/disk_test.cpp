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

TEST(Disk, leaves_every_subset_of_the_sectors_of_a_block) {
  std::set<unsigned> subsets;
  for (uint64_t seed = 0; seed < 20'000 && subsets.size() < 256; ++seed) {
    Disk disk(seed);
    const std::vector<uint8_t> old(4096, 1), fresh(4096, 2);
    auto file = make_file(disk, "a", old, true);
    Done done;
    const Bytes parts[] = {fresh};
    file->write(0, parts, done);
    disk.power_loss();
    const auto found = read_all(disk, "a");
    unsigned subset = 0;
    for (size_t sector = 0; sector < 8; ++sector)
      if (found[sector * 512] == 2) subset |= 1u << sector;
    subsets.insert(subset);
    EXPECT_EQ(disk.counters().torn_writes, subset != 0 && subset != 255 ? 1u : 0u);
  }
  EXPECT_EQ(subsets.size(), 256u);
}

// A file of four blocks, each full of its number, and an asynchronous write of a block of 9s to one of them.
struct Tricked {
  explicit Tricked(uint64_t seed = 1) : disk(seed) {
    std::vector<uint8_t> old;
    for (uint8_t block = 0; block < 4; ++block) old.insert(old.end(), 4096, block);
    file = make_file(disk, "a", old, true);
  }
  Result<size_t> write(uint64_t block) {
    Done done;
    const std::vector<uint8_t> fresh(4096, 9);
    const Bytes parts[] = {fresh};
    file->write(block * 4096, parts, done);
    disk.run();
    EXPECT_EQ(done.count, 1);
    return done.last;
  }
  // The first byte of each block.
  std::vector<int> blocks() {
    std::vector<int> firsts;
    const auto all = read_all(disk, "a");
    for (size_t at = 0; at < all.size(); at += 4096) firsts.push_back(all[at]);
    return firsts;
  }
  Disk disk;
  std::unique_ptr<port::File> file;
};

TEST(Disk, reports_a_lost_write_and_does_not_make_it) {
  Tricked tricked;
  tricked.disk.lose_write(2);
  EXPECT_EQ(tricked.write(0), 4096u);
  EXPECT_EQ(tricked.write(1), 4096u);
  EXPECT_EQ(tricked.blocks(), (std::vector{9, 1, 2, 3}));
  EXPECT_EQ(tricked.disk.counters().lost_writes, 1u);
  // A later one follows: it stays lost.
  EXPECT_EQ(tricked.write(2), 4096u);
  tricked.disk.power_loss();
  EXPECT_EQ(tricked.blocks(), (std::vector{9, 1, 9, 3}));
  EXPECT_EQ(tricked.disk.counters().landed_after_all, 0u);
}

TEST(Disk, lands_a_lost_write_that_no_later_one_followed) {
  Tricked tricked;
  tricked.disk.lose_write();
  EXPECT_EQ(tricked.write(1), 4096u);
  tricked.file.reset();
  tricked.disk.process_crash();
  EXPECT_EQ(tricked.blocks(), (std::vector{0, 9, 2, 3}));
  EXPECT_EQ(tricked.disk.counters().landed_after_all, 1u);
}

TEST(Disk, makes_a_misdirected_write_to_another_block_of_the_directory) {
  std::set<size_t> victims;
  for (uint64_t seed = 0; seed < 40; ++seed) {
    Tricked tricked(seed);
    tricked.disk.misdirect_write();
    EXPECT_EQ(tricked.write(1), 4096u);
    const auto blocks = tricked.blocks();
    EXPECT_EQ(blocks[1], 1);
    for (size_t block = 0; block < 4; ++block)
      if (blocks[block] == 9) victims.insert(block);
    EXPECT_EQ(tricked.disk.counters().misdirected_writes, 1u);
  }
  EXPECT_EQ(victims, (std::set<size_t>{0, 2, 3}));
}

TEST(Disk, misreads_another_block_once) {
  Tricked tricked;
  tricked.disk.misread();
  std::vector<uint8_t> into(4096);
  Done done;
  tricked.file->read(4096, into, done);
  tricked.disk.run();
  EXPECT_EQ(done.last, 4096u);
  EXPECT_NE(into[0], 1);
  tricked.file->read(4096, into, done);
  tricked.disk.run();
  EXPECT_EQ(into[0], 1);
  EXPECT_EQ(tricked.disk.counters().misreads, 1u);
}

TEST(Disk, fails_asynchronous_reads_alone) {
  Tricked tricked;
  tricked.disk.fail(DiskOperation::read, BOP_E_IO, 1, 1, Disk::Calls::asynchronous);
  std::vector<uint8_t> into(4096);
  EXPECT_TRUE(tricked.file->read_now(0, into));
  Done done;
  tricked.file->read(0, into, done);
  tricked.disk.run();
  EXPECT_EQ(done.last.error().code, BOP_E_IO);
  EXPECT_EQ(tricked.disk.counters().failed_reads, 1u);
}

TEST(Disk, delays_a_single_operation_and_others_pass_it) {
  std::vector<std::pair<Duration, std::function<void()>>> tasks;
  Disk disk(1, [&](Duration after, std::function<void()> task) {
    tasks.emplace_back(after, std::move(task));
  });
  auto file = make_file(disk, "a", pattern(512, 0), true);
  int begun = 0;
  disk.delay_one(DiskOperation::write, 5 * seconds, [&] { ++begun; });
  EXPECT_EQ(begun, 0);
  const auto bytes = pattern(512, 1);
  const Bytes parts[] = {bytes};
  Done done;
  file->write(0, parts, done);
  file->write(0, parts, done);
  ASSERT_EQ(tasks.size(), 2u);
  EXPECT_GE(tasks[0].first, 5 * seconds);
  EXPECT_LT(tasks[1].first, 1 * seconds);
  EXPECT_EQ(disk.counters().delayed, 1u);
  EXPECT_EQ(begun, 1);
  for (const auto& task : tasks) task.second();
  EXPECT_EQ(done.count, 2);
}

TEST(Disk, operations_on_names_have_a_speed_of_their_own) {
  std::vector<Duration> tasks;
  Disk disk(1, [&](Duration after, auto) { tasks.push_back(after); });
  auto file = make_file(disk, "a", pattern(512, 0), true);
  Disk::Latency latency{1 * milliseconds, 1 * milliseconds, 0, 5};
  disk.set_latency(latency);
  Done done;
  const auto bytes = pattern(512, 1);
  const Bytes parts[] = {bytes};
  file->write(0, parts, done);
  disk.rename("a", "b", done);
  disk.sync_directory(".", done);
  EXPECT_EQ(tasks, (std::vector<Duration>{1 * milliseconds, 50 * microseconds, 50 * microseconds}));
}

TEST(Disk, remembers_where_it_was_written_last) {
  Disk disk(1);
  Random random(1);
  EXPECT_FALSE(disk.recently_written(random));
  auto file = make_file(disk, "a", pattern(8192, 0), true);
  const auto bytes = pattern(512, 1);
  const Bytes parts[] = {bytes};
  Done done;
  file->write(4096, parts, done);
  disk.run();
  for (int i = 0; i < 20; ++i) {
    const auto place = disk.recently_written(random);
    ASSERT_TRUE(place);
    EXPECT_EQ(place->name, "a");
    EXPECT_GE(place->offset, 4096u);
    EXPECT_LT(place->offset, 4096u + 512);
  }
  ASSERT_TRUE(disk.rename_now("a", "b"));
  EXPECT_EQ(disk.recently_written(random)->name, "b");
  ASSERT_TRUE(disk.remove_now("b"));
  EXPECT_FALSE(disk.recently_written(random));
}

// The process dies in a blocking rename: it happened or not, and nothing that the process does later counts.
TEST(Disk, a_process_dies_within_a_blocking_call) {
  bool renamed = false, kept = false;
  for (uint64_t seed = 0; seed < 20; ++seed) {
    Disk disk(seed);
    auto file = make_file(disk, "a", pattern(512, 0), true);
    ASSERT_TRUE(disk.sync_directory_now("."));
    int died = 0;
    disk.at_operation(DiskOperation::rename, 1, [&](bool blocking) { died += blocking ? 1 : 0; });
    EXPECT_EQ(disk.rename_now("a", "b").error().code, BOP_E_IO);
    EXPECT_EQ(died, 1);
    EXPECT_FALSE(file->write_now(0, pattern(512, 5)));
    EXPECT_FALSE(disk.remove_now(disk.exists("a") ? "a" : "b"));
    EXPECT_FALSE(disk.sync_directory_now("."));
    file.reset();
    disk.process_crash();
    EXPECT_NE(disk.exists("a"), disk.exists("b"));
    (disk.exists("b") ? renamed : kept) = true;
    EXPECT_EQ(read_all(disk, disk.exists("a") ? "a" : "b"), pattern(512, 0));
    EXPECT_EQ(disk.counters().crashes_within[static_cast<size_t>(DiskOperation::rename)], 1u);
  }
  EXPECT_TRUE(renamed && kept);
}

TEST(Disk, a_process_that_dies_in_a_synchronous_write_tears_it) {
  bool torn = false;
  for (uint64_t seed = 0; seed < 20; ++seed) {
    Disk disk(seed);
    const std::vector<uint8_t> old(4096, 1), fresh(4096, 2);
    auto file = make_file(disk, "a", old, true);
    disk.at_operation(DiskOperation::write, 1, [](bool) {});
    EXPECT_FALSE(file->write_now(0, fresh));
    file.reset();
    disk.process_crash();
    const auto found = read_all(disk, "a");
    torn |= found != old && found != fresh;
  }
  EXPECT_TRUE(torn);
}

}  // namespace
}  // namespace bop::sim

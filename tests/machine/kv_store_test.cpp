// The state of a store after flushes, syncs, errors and crashes; for libmdbx and for the store in memory.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <fstream>
#include <map>
#include <thread>

#include "base/random.h"
#include "machine/kv/store_mdbx.h"
#include "machine/kv/store_memory.h"
#include "temporary_directory.h"

namespace bop::machine::kv {
namespace {

using Records = std::map<std::string, std::pair<uint64_t, std::string>>;

// A flush as a list of records; one without a value is deleted.
struct ListedChanges final : Changes {
  struct One {
    std::string key;
    uint64_t revision;
    std::optional<std::string> value;
  };
  std::vector<One> list;
  Progress after;
  bool ask = false;
  std::function<void(size_t)> before_each;
  std::vector<std::optional<std::string>> found;
  size_t at = 0;

  bool next(Change& change) override {
    if (before_each) before_each(at);
    if (at == list.size()) return false;
    const One& one = list[at++];
    change.key = as_bytes(one.key);
    change.present = one.value.has_value();
    change.revision = one.revision;
    change.value = one.value ? as_bytes(*one.value) : Bytes{};
    change.hash = record_hash(change.key, change.revision, change.value);
    change.want_replaced = ask;
    return true;
  }
  void replaced(const std::optional<Stored>& record) override {
    found.push_back(record ? std::optional<std::string>(as_text(record->value)) : std::nullopt);
  }
  void restart() override {
    at = 0;
    found.clear();
  }
  Progress progress() override { return after; }
};

ListedChanges flush_of(std::vector<ListedChanges::One> list, uint64_t index) {
  ListedChanges changes;
  changes.list = std::move(list);
  changes.after.position = {index, 1};
  return changes;
}

Records all(Store& store) {
  Records out;
  const Status status = store.read([&](Snapshot& snapshot) -> Status {
    BOP_TRY_ASSIGN(auto record, snapshot.seek({}));
    while (record) {
      out[std::string(as_text(record->key))] = {record->stored.revision,
                                                std::string(as_text(record->stored.value))};
      BOP_TRY_ASSIGN(record, snapshot.next());
    }
    return {};
  });
  EXPECT_TRUE(status) << status.error().to_string();
  return out;
}

enum class Kind { memory, mdbx };

class KvStore : public testing::TestWithParam<Kind> {
 protected:
  std::unique_ptr<Store> open() {
    if (GetParam() == Kind::memory) return open_memory_store(image_);
    auto store = open_mdbx_store(options());
    EXPECT_TRUE(store) << store.error().to_string();
    return store ? std::move(*store) : nullptr;
  }
  StoreOptions options() {
    StoreOptions options;
    options.directory = directory_.path();
    options.map_bytes = 64 << 20;
    options.log = [this](int32_t level, const char* text) {
      if (level >= 2) logged_ += std::string(text) + "\n";
    };
    return options;
  }
  const TemporaryDirectory directory_;
  std::shared_ptr<StoreImage> image_ = std::make_shared<StoreImage>();
  std::string logged_;
};

std::string name_of(const testing::TestParamInfo<Kind>& info) {
  return info.param == Kind::memory ? "memory" : "mdbx";
}
INSTANTIATE_TEST_SUITE_P(On, KvStore, testing::Values(Kind::memory, Kind::mdbx), name_of);

TEST_P(KvStore, a_new_store_is_empty_and_at_the_beginning) {
  const auto store = open();
  EXPECT_EQ(store->opened().position.index, 0u);
  EXPECT_TRUE(all(*store).empty());
}

TEST_P(KvStore, a_synced_flush_survives_reopening) {
  {
    const auto store = open();
    auto changes = flush_of({{"a", 1, "1"}, {"b", 2, ""}, {"c", 3, std::string(100000, 'c')}}, 3);
    changes.after.totals = {5, 6, 3};
    ASSERT_TRUE(store->flush(changes));
    ASSERT_TRUE(store->sync());
  }
  const auto store = open();
  EXPECT_EQ(store->opened().position.index, 3u);
  EXPECT_EQ(store->opened().position.term, 1u);
  EXPECT_EQ(store->opened().totals, (Totals{5, 6, 3}));
  EXPECT_EQ(all(*store),
            (Records{{"a", {1, "1"}}, {"b", {2, ""}}, {"c", {3, std::string(100000, 'c')}}}));
}

TEST_P(KvStore, a_flush_reports_the_records_that_it_replaces) {
  const auto store = open();
  auto first = flush_of({{"a", 1, "1"}, {"b", 1, "2"}}, 1);
  ASSERT_TRUE(store->flush(first));
  auto second = flush_of({{"a", 2, "3"}, {"b", 2, std::nullopt}, {"c", 2, "4"}, {"d", 2, {}}}, 2);
  second.ask = true;
  ASSERT_TRUE(store->flush(second));
  EXPECT_EQ(second.found,
            (std::vector<std::optional<std::string>>{"1", "2", std::nullopt, std::nullopt}));
  EXPECT_EQ(all(*store), (Records{{"a", {2, "3"}}, {"c", {2, "4"}}}));
}

TEST_P(KvStore, reopening_goes_back_to_the_last_sync_although_more_was_committed) {
  {
    const auto store = open();
    auto first = flush_of({{"a", 1, "1"}, {"b", 1, "2"}}, 1);
    ASSERT_TRUE(store->flush(first));
    ASSERT_TRUE(store->sync());
    for (uint64_t index = 2; index < 10; ++index) {
      auto more = flush_of({{"a", index, "later"}, {"b", index, {}}, {"c", index, "new"}}, index);
      ASSERT_TRUE(store->flush(more));
    }
    EXPECT_EQ(all(*store), (Records{{"a", {9, "later"}}, {"c", {9, "new"}}}));
  }
  for (int times = 0; times < 2; ++times) {
    const auto store = open();
    EXPECT_EQ(store->opened().position.index, 1u);
    EXPECT_EQ(all(*store), (Records{{"a", {1, "1"}}, {"b", {1, "2"}}}));
  }
  EXPECT_EQ(logged_, "");
}

TEST_P(KvStore, a_store_that_went_back_accepts_flushes_and_syncs_again) {
  Records expected;
  uint64_t index = 0;
  for (int round = 0; round < 8; ++round) {
    const auto store = open();
    ASSERT_NE(store, nullptr);
    index = store->opened().position.index;
    ASSERT_EQ(all(*store), expected);
    for (int flush = 0; flush < 3; ++flush) {
      ++index;
      auto changes = flush_of({{"key" + std::to_string(index), index, std::string(3000, 'x')},
                               {"same", index, std::to_string(round)}},
                              index);
      std::sort(changes.list.begin(), changes.list.end(),
                [](const auto& a, const auto& b) { return a.key < b.key; });
      ASSERT_TRUE(store->flush(changes));
      if (flush > 0) continue;
      ASSERT_TRUE(store->sync());
      expected = all(*store);
    }
  }
}

TEST_P(KvStore, a_seek_finds_the_next_key) {
  const auto store = open();
  auto changes = flush_of({{"b", 1, "1"}, {"d", 1, "2"}}, 1);
  ASSERT_TRUE(store->flush(changes));
  const auto found = [&](std::string_view key) {
    std::string out;
    EXPECT_TRUE(store->read([&](Snapshot& snapshot) -> Status {
      BOP_TRY_ASSIGN(const auto record, snapshot.seek(as_bytes(key)));
      out = record ? std::string(as_text(record->key)) : "none";
      return {};
    }));
    return out;
  };
  EXPECT_EQ(found(""), "b");
  EXPECT_EQ(found("b"), "b");
  EXPECT_EQ(found("ba"), "d");
  EXPECT_EQ(found("e"), "none");
}

// ---- libmdbx alone ----

class KvMdbx : public KvStore {};
INSTANTIATE_TEST_SUITE_P(On, KvMdbx, testing::Values(Kind::mdbx), name_of);

// Runs `work` in another process, which kills itself.
template <class Work>
void in_a_killed_process(Work work) {
  const pid_t child = fork();
  ASSERT_NE(child, -1);
  if (child == 0) {
    work();
    _exit(0);  // not reached: `work` kills the process
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFSIGNALED(status));
  ASSERT_EQ(WTERMSIG(status), SIGKILL);
}

TEST_P(KvMdbx, a_process_killed_at_any_change_of_a_flush_leaves_the_last_sync) {
  {
    const auto store = open();
    auto first = flush_of({{"a", 1, "1"}, {"b", 1, "2"}}, 1);
    ASSERT_TRUE(store->flush(first));
    ASSERT_TRUE(store->sync());
  }
  for (size_t kill_at = 0; kill_at <= 3; ++kill_at) {
    in_a_killed_process([&] {
      const auto store = open();
      auto changes = flush_of({{"a", 2, "later"}, {"b", 2, {}}, {"c", 2, "new"}}, 2);
      changes.before_each = [&](size_t at) {
        if (at == kill_at) raise(SIGKILL);
      };
      (void)store->flush(changes);
    });
    const auto store = open();
    EXPECT_EQ(store->opened().position.index, 1u);
    EXPECT_EQ(all(*store), (Records{{"a", {1, "1"}}, {"b", {1, "2"}}}));
  }
}

TEST_P(KvMdbx, a_process_killed_between_commit_and_sync_leaves_the_last_sync) {
  for (uint64_t round = 0; round < 3; ++round) {
    in_a_killed_process([&] {
      const auto store = open();
      for (uint64_t index = 2; index < 6 + round; ++index) {
        auto changes = flush_of({{"a", index, "later"}, {"c", index, "new"}}, index);
        if (!store->flush(changes)) return;
      }
      raise(SIGKILL);
    });
    const auto store = open();
    EXPECT_EQ(store->opened().position.index, 0u);
    EXPECT_TRUE(all(*store).empty());
  }
}

TEST_P(KvMdbx, a_process_killed_after_a_sync_leaves_it) {
  in_a_killed_process([&] {
    const auto store = open();
    auto changes = flush_of({{"a", 5, "1"}}, 5);
    if (store->flush(changes) && store->sync()) raise(SIGKILL);
  });
  const auto store = open();
  EXPECT_EQ(store->opened().position.index, 5u);
  EXPECT_EQ(all(*store), (Records{{"a", {5, "1"}}}));
}

TEST_P(KvMdbx, a_full_map_fails_the_flush_and_leaves_the_last_sync) {
  {
    const auto store = open();
    auto first = flush_of({{"a", 1, "1"}}, 1);
    ASSERT_TRUE(store->flush(first));
    ASSERT_TRUE(store->sync());
    ListedChanges large;
    for (int i = 0; i < 80; ++i)
      large.list.push_back({"key" + std::to_string(100 + i), 2, std::string(1 << 20, 'x')});
    const Status status = store->flush(large);
    ASSERT_FALSE(status);
    EXPECT_EQ(status.error().code, BOP_E_DISK_FULL);
  }
  const auto store = open();
  EXPECT_EQ(store->opened().position.index, 1u);
}

TEST_P(KvMdbx, a_large_flush_is_one_commit_although_its_pages_are_written_early) {
  Random random(1);
  ListedChanges changes;
  for (int i = 0; i < 60000; ++i) {
    char key[16];
    std::snprintf(key, sizeof key, "key%08d", i);
    changes.list.push_back({key, 1, std::string(200 + random.below(800), 'v')});
  }
  changes.after.position = {1, 1};
  StoreOptions large = options();
  large.map_bytes = 1 << 30;
  {
    const auto store = open_mdbx_store(large);
    ASSERT_TRUE(store);
    const Status flushed = (*store)->flush(changes);
    ASSERT_TRUE(flushed) << flushed.error().to_string();
    ASSERT_TRUE((*store)->sync());
  }
  const auto store = open_mdbx_store(large);
  ASSERT_TRUE(store);
  EXPECT_EQ(all(**store).size(), 60000u);
}

// Bytes of address space that are mapped from the store's file.
uint64_t mapped_bytes(const std::string& directory) {
  std::ifstream maps("/proc/self/maps");
  uint64_t bytes = 0;
  for (std::string line; std::getline(maps, line);) {
    if (line.find(directory + "/kv.mdbx") == line.npos || line.ends_with("-lck")) continue;
    unsigned long begin = 0, end = 0;
    EXPECT_EQ(std::sscanf(line.c_str(), "%lx-%lx", &begin, &end), 2) << line;
    bytes += end - begin;
  }
  return bytes;
}

TEST_P(KvMdbx, a_map_is_not_much_larger_than_its_file_and_grows_with_it) {
  StoreOptions options = this->options();
  options.map_bytes = 0;  // the default
  auto store = open_mdbx_store(options);
  ASSERT_TRUE(store) << store.error().to_string();
  const uint64_t empty = mapped_bytes(directory_.path());
  EXPECT_GT(empty, 0u);
  EXPECT_LE(empty, 128u << 20);
  Records expected;
  for (uint64_t round = 1; round <= 12; ++round) {
    ListedChanges changes;
    for (int i = 0; i < 200; ++i) {
      const std::string key = "key" + std::to_string(round) + " " + std::to_string(1000 + i);
      changes.list.push_back({key, round, std::string(100'000, 'x')});
      expected[key] = {round, std::string(100'000, 'x')};
    }
    changes.after.position = {round, 1};
    // The sum of the records, as MemtableChanges computes it: each replaced record counts once.
    changes.ask = true;
    ASSERT_TRUE((*store)->flush(changes));
    EXPECT_EQ(changes.found.size(), changes.list.size());
    // Commits without a sync also survive the larger map that the next flush may need.
    if (round % 3 == 0) {
      ASSERT_TRUE((*store)->sync());
    }
  }
  EXPECT_EQ(all(**store), expected);
  const uint64_t full = mapped_bytes(directory_.path());
  EXPECT_GT(full, 240u << 20);
  EXPECT_LE(full, 600u << 20);
  ASSERT_TRUE((*store)->sync());
  store->reset();
  EXPECT_EQ(mapped_bytes(directory_.path()), 0u);
  store = open_mdbx_store(options);
  ASSERT_TRUE(store) << store.error().to_string();
  EXPECT_EQ((*store)->opened().position.index, 12u);
  EXPECT_EQ(all(**store), expected);
}

TEST_P(KvMdbx, a_map_is_replaced_between_the_reads_of_another_thread) {
  StoreOptions options = this->options();
  options.map_bytes = 0;
  auto store = open_mdbx_store(options);
  ASSERT_TRUE(store) << store.error().to_string();
  auto first = flush_of({{"always", 1, "there"}}, 1);
  ASSERT_TRUE((*store)->flush(first));
  std::atomic<bool> done = false;
  std::atomic<uint64_t> reads = 0;
  std::thread reader([&] {
    while (!done) {
      const Status read = (*store)->read([&](Snapshot& snapshot) -> Status {
        BOP_TRY_ASSIGN(const auto found, snapshot.get(as_bytes(std::string_view("always"))));
        if (!found || as_text(found->value) != "there") return fail(BOP_E_INTERNAL, "not there");
        return {};
      });
      EXPECT_TRUE(read) << read.error().to_string();
      ++reads;
    }
  });
  for (uint64_t round = 2; round <= 12; ++round) {
    ListedChanges changes;
    for (int i = 0; i < 20; ++i)
      changes.list.push_back({"key" + std::to_string(100 * round + static_cast<uint64_t>(i)), round,
                              std::string(1 << 20, 'x')});
    changes.after.position = {round, 1};
    EXPECT_TRUE((*store)->flush(changes));
  }
  done = true;
  reader.join();
  EXPECT_GT(reads, 0u);
  EXPECT_GT(mapped_bytes(directory_.path()), 220u << 20);
}

// If the process may not map the address space that a flush needs, the flush fails with DISK_FULL and the
// store can still be used.
TEST_P(KvMdbx, a_map_that_exceeds_the_address_space_fails_only_the_flush) {
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
  GTEST_SKIP() << "sanitizers need the address space that this test takes away";
#endif
#endif
  StoreOptions options = this->options();
  options.map_bytes = 0;
  const pid_t child = fork();
  ASSERT_NE(child, -1);
  if (child == 0) {
    auto store = open_mdbx_store(options);
    if (!store) _exit(1);
    auto small = flush_of({{"a", 1, "1"}}, 1);
    if (!(*store)->flush(small)) _exit(2);
    ListedChanges large;
    for (int i = 0; i < 80; ++i)
      large.list.push_back({"key" + std::to_string(100 + i), 2, std::string(1 << 20, 'x')});
    large.after.position = {2, 1};
    // The address space that the process has mapped, and a little more.
    std::ifstream statm("/proc/self/statm");
    uint64_t pages = 0;
    statm >> pages;
    const rlimit limit{pages * 4096 + (24u << 20), RLIM_INFINITY};
    rlimit before;
    getrlimit(RLIMIT_AS, &before);
    setrlimit(RLIMIT_AS, &limit);
    for (int attempt = 0; attempt < 5; ++attempt) {
      const Status refused = (*store)->flush(large);
      if (refused || refused.error().code != BOP_E_DISK_FULL) _exit(3);
      if (refused.error().detail.find("ulimit -v") == std::string::npos) _exit(7);
      large.restart();
      // It is repeated several times a second: only the first may log anything.
      if (attempt == 0) logged_.clear();
    }
    if (!logged_.empty()) _exit(8);
    if (all(**store) != Records{{"a", {1, "1"}}}) _exit(4);
    setrlimit(RLIMIT_AS, &before);
    ListedChanges again = large;
    again.restart();
    if (!(*store)->flush(again)) _exit(5);
    _exit(all(**store).size() == 81 ? 0 : 6);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status)) << status;
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

// A power cut may leave a sparse file, with holes where pages were never written; so may a copy of a backup.
TEST_P(KvMdbx, opening_a_sparse_file_allocates_nothing) {
  const std::string path = directory_.path() + "/kv.mdbx";
  Records expected;
  {
    const auto store = open();
    for (uint64_t index = 1; index < 4; ++index) {
      ListedChanges changes;
      for (int i = 0; i < 3000; ++i) {
        const std::string key = "key" + std::to_string(10000 + i);
        changes.list.push_back({key, index, std::string(1000, 'v')});
        expected[key] = {index, std::string(1000, 'v')};
      }
      changes.after.position = {index, 1};
      ASSERT_TRUE(store->flush(changes));
      ASSERT_TRUE(store->sync());
    }
  }
  // The file has its full size, with a hole at its unused end.
  std::vector<char> content(std::filesystem::file_size(path));
  std::ifstream(path, std::ios::binary).read(content.data(), static_cast<long>(content.size()));
  std::filesystem::remove(path);
  {
    std::ofstream copy(path, std::ios::binary);
    for (size_t at = 0; at < content.size(); at += 4096) {
      const char* page = content.data() + at;
      if (std::all_of(page, page + 4096, [](char byte) { return byte == 0; })) continue;
      copy.seekp(static_cast<long>(at));
      copy.write(page, 4096);
    }
  }
  std::filesystem::resize_file(path, content.size());
  const auto allocated = [&] {
    struct stat status;
    EXPECT_EQ(stat(path.c_str(), &status), 0);
    return std::pair(status.st_size, status.st_blocks);
  };
  const auto before = allocated();
  ASSERT_LT(before.second * 512, before.first) << "it has no holes";
  {
    const auto store = open();
    ASSERT_NE(store, nullptr);
    EXPECT_EQ(all(*store), expected);
    EXPECT_LE(allocated(), before);
  }
  EXPECT_LE(allocated(), before);
}

TEST_P(KvMdbx, a_second_store_on_the_same_file_is_refused_by_name) {
  const auto store = open();
  const auto second = open_mdbx_store(options());
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, BOP_E_DIRECTORY_IN_USE) << second.error().to_string();
}

TEST_P(KvMdbx, a_file_of_another_kind_is_refused_and_named) {
  const std::string path = directory_.path() + "/kv.mdbx";
  std::ofstream(path) << std::string(100000, 'x');
  const auto store = open_mdbx_store(options());
  ASSERT_FALSE(store);
  EXPECT_NE(store.error().detail.find(path), std::string::npos);
  EXPECT_EQ(store.error().code, BOP_E_DAMAGED) << store.error().to_string();
}

TEST_P(KvMdbx, a_truncated_file_is_refused) {
  {
    const auto store = open();
    ListedChanges changes;
    for (int i = 0; i < 3000; ++i)
      changes.list.push_back({"key" + std::to_string(10000 + i), 1, std::string(1000, 'v')});
    changes.after.position = {1, 1};
    ASSERT_TRUE(store->flush(changes));
    ASSERT_TRUE(store->sync());
  }
  std::filesystem::resize_file(directory_.path() + "/kv.mdbx", 1 << 20);
  const auto store = open_mdbx_store(options());
  ASSERT_FALSE(store);
}

}  // namespace
}  // namespace bop::machine::kv

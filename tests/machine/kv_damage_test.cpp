// A store that was altered on its device: what is damaged is found and named, or makes no difference. No answer is
// wrong and none is missing.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <set>

#include "base/random.h"
#include "kv_replica.h"
#include "machine/kv/store_mdbx.h"
#include "machine/kv/store_memory.h"
#include "temporary_directory.h"

namespace bop::machine::kv::test {
namespace {

using Records = std::map<std::string, std::pair<uint64_t, std::string>>;

// A flush of the difference between two states.
class Difference final : public Changes {
 public:
  Difference(const Records& before, const Records& after, uint64_t index) {
    for (const auto& [key, record] : before)
      if (!after.contains(key)) changes_[key] = std::nullopt;
    for (const auto& [key, record] : after) {
      progress_.totals += totals_of(true, hash_of(key, record));
      const auto old = before.find(key);
      if (old == before.end() || old->second != record) changes_[key] = record;
    }
    progress_.position = {index, 1};
    next_ = changes_.begin();
  }
  bool next(Change& change) override {
    if (next_ == changes_.end()) return false;
    const auto& [key, record] = *next_++;
    change = {};
    change.key = as_bytes(key);
    change.present = record.has_value();
    if (record) {
      change.revision = record->first;
      change.hash = hash_of(key, *record);
      change.value = as_bytes(record->second);
    }
    return true;
  }
  void replaced(const std::optional<Stored>&) override {}
  void restart() override { next_ = changes_.begin(); }
  Progress progress() override { return progress_; }

 private:
  static Hash128 hash_of(const std::string& key, const Records::mapped_type& record) {
    return record_hash(as_bytes(key), record.first, as_bytes(record.second));
  }
  std::map<std::string, std::optional<Records::mapped_type>> changes_;
  decltype(changes_)::iterator next_;
  Progress progress_;
};

std::string random_value(Random& random) {
  const size_t usual = random.chance(1, 6) ? 9000 : 300;  // a few are large, over several pages
  std::string value(random.below(usual), '\0');
  for (char& c : value) c = static_cast<char>(random.below(256));
  return value;
}

Records changed(Random& random, Records records, uint64_t index, size_t changes, size_t keys) {
  for (size_t i = 0; i < changes; ++i) {
    // Keys of many lengths, in an order that is not that of their numbers.
    const uint64_t number = random.below(keys);
    const std::string key = std::to_string(number * 7919 % keys) +
                            std::string(number % 50 == 0 ? 700 : number % 13, 'k');
    if (random.chance(1, 4))
      records.erase(key);
    else
      records[key] = {index, random_value(random)};
  }
  return records;
}

Status verify(Store& store) {
  BOP_TRY_ASSIGN(const auto check, store.begin_check());
  for (bool complete = false; !complete;) {
    BOP_TRY_ASSIGN(complete, check->step());
  }
  EXPECT_EQ(check->done_bytes(), check->total_bytes());
  return {};
}

// A whole pass.
Status scrub(Store& store, const Totals& expected, uint64_t bytes_a_slice = 10000) {
  Totals sum;
  std::vector<uint8_t> next;
  do {
    BOP_TRY_ASSIGN(const Slice slice, store.scrub(next, bytes_a_slice));
    sum += slice.totals;
    next = slice.next;
  } while (!next.empty());
  return sum == expected ? Status{} : fail(BOP_E_DAMAGED, "the sum");
}

// Reads the whole store, and each record by its key.
Result<Records> contents(Store& store, const Records& keys) {
  Records out;
  BOP_TRY(store.read([&](Snapshot& snapshot) -> Status {
    BOP_TRY_ASSIGN(auto record, snapshot.seek({}));
    while (record) {
      out[std::string(as_text(record->key))] = {record->stored.revision,
                                                std::string(as_text(record->stored.value))};
      BOP_TRY_ASSIGN(record, snapshot.next());
    }
    for (const auto& [key, record] : keys) {
      BOP_TRY_ASSIGN(const auto found, snapshot.get(as_bytes(key)));
      if (!found || found->revision != record.first || as_text(found->value) != record.second)
        out.erase(key);
    }
    return {};
  }));
  return out;
}

class KvDamage : public testing::Test {
 protected:
  std::string path() const { return directory_.path() + "/kv.mdbx"; }
  StoreOptions options() const {
    StoreOptions options;
    options.directory = directory_.path();
    options.identity = {{1, 2, 3}, 7, 1};
    return options;
  }
  Result<std::unique_ptr<Store>> open() { return open_mdbx_store(options()); }

  // A store with free pages, several levels of branches and large values.
  Records fill(uint64_t seed, size_t flushes = 12, size_t keys = 4000) {
    Random random(seed);
    Records records;
    auto store = open();
    EXPECT_TRUE(store) << store.error().to_string();
    for (uint64_t index = 1; index <= flushes; ++index) {
      Records after = changed(random, records, index, keys / 2, keys);
      Difference changes(records, after, index);
      EXPECT_TRUE((*store)->flush(changes));
      EXPECT_TRUE((*store)->sync());
      records = std::move(after);
    }
    return records;
  }
  std::string file() const {
    std::ifstream in(path(), std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  // With a hole where the end was never written.
  void write(const std::string& content) const {
    const size_t end = content.find_last_not_of('\0') + 1;
    std::ofstream(path(), std::ios::binary).write(content.data(), static_cast<long>(end));
    std::filesystem::resize_file(path(), content.size());
  }
  // The pages that something was ever written to.
  static std::vector<size_t> written_pages(const std::string& content) {
    std::vector<size_t> pages;
    for (size_t at = 0; at + 4096 <= content.size(); at += 4096)
      if (content.find_first_not_of('\0', at) < at + 4096) pages.push_back(at);
    return pages;
  }
  void write_at(uint64_t offset, const std::string& bytes) const {
    const int out = ::open(path().c_str(), O_WRONLY);
    EXPECT_EQ(pwrite(out, bytes.data(), bytes.size(), static_cast<off_t>(offset)),
              static_cast<ssize_t>(bytes.size()));
    ::close(out);
  }

  const TemporaryDirectory directory_;
};

TEST_F(KvDamage, a_sound_store_is_verified_whatever_its_history) {
  for (uint64_t seed = 1; seed <= 12; ++seed) {
    std::filesystem::remove(path());
    Random random(seed);
    Records records;
    const size_t keys = 1 + random.below(3000);
    auto store = open();
    ASSERT_TRUE(store);
    for (uint64_t index = 1; index <= 15; ++index) {
      Records after = random.chance(1, 10)
                          ? Records{}
                          : changed(random, records, index, 1 + random.below(keys), keys);
      Difference changes(records, after, index);
      ASSERT_TRUE((*store)->flush(changes));
      records = std::move(after);
      Status sound = scrub(**store, changes.progress().totals, 1 + random.below(20000));
      ASSERT_TRUE(sound) << "seed " << seed << ": " << sound.error().to_string();
      if (random.chance(1, 2)) continue;
      ASSERT_TRUE((*store)->sync());
      store->reset();
      store = open();
      ASSERT_TRUE(store) << store.error().to_string();
      sound = verify(**store);
      ASSERT_TRUE(sound) << "seed " << seed << ": " << sound.error().to_string();
      EXPECT_EQ((*store)->opened().totals, changes.progress().totals);
    }
  }
}

// The same store with one bit flipped, 200 times. It is found, or nothing can be told from it: not in what is read, and
// not after another flush, which would write over pages that a damaged list calls free.
TEST_F(KvDamage, each_of_200_flipped_bits_is_found_or_makes_no_difference) {
  const Records records = fill(1);
  const std::string sound = file();
  const std::vector<size_t> pages = written_pages(sound);
  Random random(99);
  Records after = changed(random, records, 20, 3000, 4000);
  int found = 0;
  for (int flip = 0; flip < 200; ++flip) {
    std::string altered = sound;
    // Every eighth in the first pages, which have the roots.
    const size_t page = pages[random.below(flip % 8 == 0 ? 16 : pages.size())];
    const uint64_t bit = page * 8 + random.below(4096 * 8);
    altered[bit / 8] = static_cast<char>(altered[bit / 8] ^ (1 << bit % 8));
    write(altered);
    SCOPED_TRACE("bit " + std::to_string(bit % 8) + " of the byte at " + std::to_string(bit / 8));
    auto store = open();
    Status verified = store ? verify(**store) : std::unexpected(store.error());
    if (!verified) {
      ++found;
      EXPECT_NE(verified.error().detail.find(path()), std::string::npos)
          << verified.error().to_string();
      continue;
    }
    // libmdbx may have returned to an older state, which is sound as well.
    if ((*store)->opened().position.index != 12) {
      ++found;
      continue;
    }
    const auto read = contents(**store, records);
    ASSERT_TRUE(read) << read.error().to_string();
    ASSERT_EQ(*read, records);
    Difference changes(records, after, 20);
    if (const Status flushed = (*store)->flush(changes); !flushed) continue;
    ASSERT_TRUE((*store)->sync());
    const auto then = contents(**store, after);
    if (!then) continue;
    ASSERT_EQ(*then, after);
  }
  // Many of the pages are free, and a page in use may have free space.
  EXPECT_GT(found, 60);
}

// Bits of headers, of the lists of nodes and of nodes themselves, where a lookup could be led astray.
TEST_F(KvDamage, flipped_bits_of_the_trees_are_found_or_make_no_difference) {
  const Records records = fill(2, 6, 3000);
  const std::string sound = file();
  const std::vector<size_t> pages = written_pages(sound);
  Random random(5);
  int found = 0;
  for (int flip = 0; flip < 300; ++flip) {
    std::string altered = sound;
    const size_t page = pages[random.below(pages.size())];
    const size_t at = page + random.below(flip % 3 == 0 ? 20 : 120);
    altered[at] = static_cast<char>(altered[at] ^ (1 << random.below(8)));
    write(altered);
    SCOPED_TRACE("the byte at " + std::to_string(at));
    auto store = open();
    if (!store || !verify(**store) || (*store)->opened().position.index != 6) {
      ++found;
      continue;
    }
    const auto read = contents(**store, records);
    ASSERT_TRUE(read) << read.error().to_string();
    ASSERT_EQ(*read, records);
  }
  EXPECT_GT(found, 60);
}

TEST_F(KvDamage, bytes_that_change_while_it_is_open_are_found_by_a_read_or_by_the_next_pass) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    std::filesystem::remove(path());
    const Records records = fill(seed, 4, 1500);
    auto store = open();
    ASSERT_TRUE(store);
    ASSERT_TRUE(verify(**store));
    Random random(seed);
    const size_t size = std::filesystem::file_size(path());
    const size_t bytes = seed % 2 == 0 ? 2000 : 1 + random.below(4);
    for (size_t i = 0; i < bytes; ++i)
      write_at(4096 * 3 + random.below(size - 4096 * 3),
               std::string(1, static_cast<char>(random.below(256))));
    const Status passed = scrub(**store, (*store)->opened().totals);
    const auto read = contents(**store, records);
    if (passed) {
      ASSERT_TRUE(read) << read.error().to_string();
      EXPECT_EQ(*read, records) << "seed " << seed;
    } else {
      EXPECT_NE(passed.error().code, BOP_OK);
    }
    if (bytes == 2000) {
      EXPECT_FALSE(passed) << "2,000 bytes hit nothing";
    }
  }
}

TEST_F(KvDamage, a_read_of_an_altered_record_names_file_and_offset) {
  fill(3, 2, 500);
  auto store = open();
  ASSERT_TRUE(store);
  Difference changes({}, {{"mark", {9, std::string(200, 'M')}}}, 9);
  ASSERT_TRUE((*store)->flush(changes));
  ASSERT_TRUE((*store)->sync());
  const size_t at = file().find(std::string(200, 'M'));
  ASSERT_NE(at, std::string::npos);
  write_at(at + 100, "m");
  const Status read = (*store)->read([](Snapshot& snapshot) -> Status {
    BOP_TRY(snapshot.get(as_bytes(std::string_view("mark"))));
    return {};
  });
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().code, BOP_E_DAMAGED);
  EXPECT_TRUE(read.error().detail.starts_with(path() + " at ")) << read.error().detail;
  EXPECT_NE(read.error().detail.find("key hash " + hex(hash64(as_bytes(std::string_view("mark"))))),
            std::string::npos);
}

TEST_F(KvDamage, a_page_that_is_gone_is_an_error_with_its_offset) {
  const Records records = fill(4);
  auto store = open();
  ASSERT_TRUE(store);
  std::filesystem::resize_file(path(), 256 << 10);
  const auto read = contents(**store, records);
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().code, BOP_E_DAMAGED);
  EXPECT_TRUE(read.error().detail.starts_with(path() + " at ")) << read.error().detail;
  // Nothing is read from it any more, and nothing is written.
  EXPECT_FALSE((*store)->read([](Snapshot&) -> Status { return {}; }));
  Difference changes(records, {}, 20);
  EXPECT_FALSE((*store)->flush(changes));
  EXPECT_FALSE((*store)->scrub({}, 1000));
}

TEST_F(KvDamage, a_verification_names_the_page_that_is_gone) {
  fill(4);
  auto store = open();
  ASSERT_TRUE(store);
  std::filesystem::resize_file(path(), 256 << 10);
  const Status verified = verify(**store);
  ASSERT_FALSE(verified);
  EXPECT_EQ(verified.error().code, BOP_E_DAMAGED);
  EXPECT_NE(verified.error().detail.find("the file ends before"), std::string::npos)
      << verified.error().detail;
}

// ---- identity and format ----

TEST_F(KvDamage, a_store_of_another_cluster_group_or_instance_is_refused_by_name) {
  fill(1, 1, 10);
  for (const StoreIdentity& other : {StoreIdentity{{1, 2, 4}, 7, 1}, StoreIdentity{{1, 2, 3}, 8, 1},
                                     StoreIdentity{{1, 2, 3}, 7, 2}}) {
    StoreOptions options = this->options();
    options.identity = other;
    const auto store = open_mdbx_store(options);
    ASSERT_FALSE(store);
    EXPECT_EQ(store.error().code, BOP_E_FOREIGN_DIRECTORY);
    EXPECT_NE(store.error().detail.find("instance 1 of group 7 of cluster 010203"),
              std::string::npos)
        << store.error().detail;
  }
  EXPECT_TRUE(open());
  StoreOptions none = options();
  none.identity = {};
  EXPECT_TRUE(open_mdbx_store(none)) << "a tool";
}

TEST_F(KvDamage, a_store_in_an_older_format_is_refused_by_name) {
  fill(1, 1, 10);
  std::string content = file();
  // The progress record: version, and the checksum that follows it.
  const std::string identity("\1\2\3\0\0\0\0\0\0\0\0\0\0\0\0\0\7\0\0\0", 20);
  size_t hits = 0;
  for (size_t at = 0; (at = content.find(identity, at)) != std::string::npos; ++at, ++hits)
    content[at - 48] = 1;
  ASSERT_GT(hits, 0u);
  write(content);
  const auto store = open();
  ASSERT_FALSE(store);
  EXPECT_EQ(store.error().code, BOP_E_OLDER_FORMAT) << store.error().to_string();
  EXPECT_NE(store.error().detail.find("format 1"), std::string::npos);
}

// ---- the machine ----

struct OnMemory {
  std::shared_ptr<StoreImage> image = std::make_shared<StoreImage>();
  Replica replica{[image = image](const StoreOptions&) -> Result<std::unique_ptr<Store>> {
    return open_memory_store(image);
  }};
  void fill() {
    ASSERT_TRUE(replica.open());
    for (int i = 0; i < 100; ++i)
      replica.run({put("key" + std::to_string(i), "value" + std::to_string(i))});
    replica.flush();
  }
};

TEST(KvIntegrity, nothing_is_answered_or_applied_before_the_store_is_verified) {
  OnMemory on;
  on.fill();
  Replica& replica = on.replica;
  replica.crash();
  ASSERT_TRUE(replica.open_only());
  EXPECT_FALSE(replica.driver().verified());
  EXPECT_FALSE(replica.driver().state_hash());
  ASSERT_NE(replica.driver().obstacle(), nullptr);
  EXPECT_NE(std::string(replica.driver().obstacle()).find("verifying the store"),
            std::string::npos);
  const uint64_t early = replica.ask_later(get({"key5"}));
  EXPECT_EQ(replica.answers.at(early).status, BOP_E_UNAVAILABLE);
  replica.apply({{101, 1, command({put("later", "value")})}});
  EXPECT_TRUE(replica.replies.empty() || !replica.replies.contains(101));
  EXPECT_TRUE(replica.driver().applying());
  replica.finish();
  EXPECT_TRUE(replica.driver().verified());
  EXPECT_EQ(replica.driver().obstacle(), nullptr);
  EXPECT_EQ(replica.replies.at(101).status, BOP_OK);
  EXPECT_EQ(replica.ask(get({"key5"})).status, BOP_OK);
}

TEST(KvIntegrity, a_store_that_lost_or_altered_a_record_fails_the_machine_when_it_is_opened) {
  for (const bool lost : {false, true}) {
    OnMemory on;
    on.fill();
    on.replica.crash();
    ASSERT_TRUE(lost ? on.image->lose(7) : on.image->rot(7));
    on.replica.open();
    ASSERT_TRUE(on.replica.failure);
    EXPECT_EQ(on.replica.failure->code, BOP_E_DAMAGED);
    EXPECT_EQ(on.replica.ask(get({"key5"})).status, BOP_E_DAMAGED);
    EXPECT_FALSE(on.replica.driver().state_hash());
  }
}

TEST(KvIntegrity, an_altered_record_is_not_answered_but_fails_the_machine_with_its_reason) {
  OnMemory on;
  on.fill();
  on.replica.crash();
  ASSERT_TRUE(on.replica.open());  // without the memtables
  ASSERT_TRUE(on.image->rot(7));
  const std::string key = "key15";  // the eighth in order
  EXPECT_EQ(on.replica.ask(get({"key20"})).status, BOP_OK);
  EXPECT_EQ(on.replica.ask(get({key})).status, BOP_E_DAMAGED);
  ASSERT_TRUE(on.replica.failure);
  EXPECT_EQ(on.replica.failure->code, BOP_E_DAMAGED);
  EXPECT_NE(on.replica.failure->detail.find(hex(hash64(as_bytes(key)))), std::string::npos)
      << on.replica.failure->detail;
  EXPECT_EQ(on.replica.ask(get({"key20"})).status, BOP_E_DAMAGED) << "an answer after that";
}

TEST(KvIntegrity, a_scrub_finds_a_missing_record_while_nobody_asks_for_it) {
  for (const bool lost : {false, true}) {
    OnMemory on;
    on.fill();
    const auto passes = [&] { return on.replica.driver().verification().scrub_passes; };
    for (int i = 0; i < 1000 && passes() < 2; ++i) {
      ASSERT_TRUE(on.replica.driver().scrub(100));
      on.replica.finish();
    }
    EXPECT_EQ(passes(), 2u);
    EXPECT_GT(on.replica.driver().verification().scrubbed_bytes, 1000u);
    ASSERT_TRUE(lost ? on.image->lose(50) : on.image->rot(50));
    for (int i = 0; i < 1000 && !on.replica.failure; ++i) {
      on.replica.driver().scrub(100);
      on.replica.finish();
    }
    ASSERT_TRUE(on.replica.failure);
    EXPECT_EQ(on.replica.failure->code, BOP_E_DAMAGED);
    EXPECT_LE(passes(), 3u);
  }
}

}  // namespace
}  // namespace bop::machine::kv::test

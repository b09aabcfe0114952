// Tests of the contract in port/file.h, for every implementation. A suite provides a FileRig and instantiates
// them with
//   INSTANTIATE_TEST_SUITE_P(Uring, FileContract, testing::Values(FileRigMaker{"uring", make_rig}));
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <functional>
#include <memory>
#include <optional>
#include <ostream>
#include <random>
#include <string>
#include <vector>

#include "mem/allocate.h"
#include "port/file.h"

namespace bop::tests {

// A file system with an empty root directory and the loop on which it completes.
class FileRig {
 public:
  virtual ~FileRig() = default;
  virtual port::FileSystem& files() = 0;
  // Runs turns of the loop until `done()`; false when that takes too long.
  virtual bool run_until(const std::function<bool()>& done) = 0;
};

struct FileRigMaker {
  const char* name;
  std::function<std::unique_ptr<FileRig>()> make;
  const char* missing = nullptr;  // what this host lacks for it; nullptr: nothing
};
inline void PrintTo(const FileRigMaker& maker, std::ostream* out) { *out << maker.name; }

class Heard final : public port::FileCompletion {
 public:
  void complete(Result<size_t> value) override {
    ++times;
    result = std::move(value);
  }
  int times = 0;
  std::optional<Result<size_t>> result;
};

// Memory that direct I/O can use.
class Aligned {
 public:
  explicit Aligned(size_t size, uint8_t fill = 0)
      : data_(static_cast<uint8_t*>(mem::allocate_aligned(size, 4096))), size_(size) {
    std::memset(data_, fill, size);
  }
  ~Aligned() { mem::release(data_); }
  Aligned(const Aligned&) = delete;
  Aligned& operator=(const Aligned&) = delete;

  std::span<uint8_t> span() { return {data_, size_}; }
  Bytes bytes() const { return {data_, size_}; }

 private:
  uint8_t* const data_;
  const size_t size_;
};

class FileContract : public testing::TestWithParam<FileRigMaker> {
 protected:
  void SetUp() override {
    if (GetParam().missing != nullptr) GTEST_SKIP() << GetParam().missing;
    rig = GetParam().make();
  }

  port::FileSystem& files() { return rig->files(); }

  std::unique_ptr<port::File> open(const std::string& name, port::FileOptions options) {
    auto file = files().open_now(name, options);
    EXPECT_TRUE(file.has_value()) << file.error().to_string();
    return file ? std::move(*file) : nullptr;
  }
  std::unique_ptr<port::File> create(const std::string& name, port::FileOptions options = {}) {
    options.create = true;
    return open(name, options);
  }

  Result<size_t> wait(Heard& heard) {
    EXPECT_TRUE(rig->run_until([&] { return heard.times > 0; })) << "no completion";
    EXPECT_EQ(heard.times, 1);
    return heard.result ? *heard.result : Result<size_t>(fail(BOP_E_TIMEOUT));
  }
  Result<size_t> write(port::File& file, uint64_t offset, Bytes bytes) {
    Heard heard;
    const Bytes parts[] = {bytes};
    file.write(offset, parts, heard);
    return wait(heard);
  }
  Result<size_t> read(port::File& file, uint64_t offset, std::span<uint8_t> into) {
    Heard heard;
    file.read(offset, into, heard);
    return wait(heard);
  }

  std::unique_ptr<FileRig> rig;
};

inline std::string text_of(std::span<const uint8_t> bytes) { return std::string(as_text(bytes)); }

TEST_P(FileContract, what_is_written_is_read_back) {
  auto file = create("a");
  EXPECT_EQ(write(*file, 3, as_bytes("hello")), 5u);
  uint8_t into[5];
  EXPECT_EQ(read(*file, 3, into), 5u);
  EXPECT_EQ(text_of(into), "hello");
}

TEST_P(FileContract, a_completion_is_never_called_from_within_the_call_that_started_it) {
  auto file = create("a");
  Heard write, sync, read;
  uint8_t into[1];
  const Bytes parts[] = {as_bytes("x")};
  file->write(0, parts, write);
  EXPECT_EQ(write.times, 0);
  file->sync(sync);
  EXPECT_EQ(sync.times, 0);
  ASSERT_TRUE(rig->run_until([&] { return write.times > 0 && sync.times > 0; }));
  file->read(0, into, read);
  EXPECT_EQ(read.times, 0);
  EXPECT_EQ(wait(read), 1u);
}

TEST_P(FileContract, a_write_is_the_concatenation_of_its_parts) {
  auto file = create("a");
  std::vector<uint8_t> expected;
  std::vector<std::string> pieces;
  for (int i = 0; i < 100; ++i)
    pieces.push_back(std::string(i % 7, static_cast<char>('a' + i % 26)));
  Heard heard;
  {
    std::vector<Bytes> parts;
    for (const auto& piece : pieces) {
      parts.push_back(as_bytes(piece));
      expected.insert(expected.end(), piece.begin(), piece.end());
    }
    file->write(10, parts, heard);
  }  // the array of parts is destroyed before the write is submitted
  EXPECT_EQ(wait(heard), expected.size());
  std::vector<uint8_t> into(expected.size());
  EXPECT_EQ(file->read_now(10, into), expected.size());
  EXPECT_EQ(into, expected);
}

TEST_P(FileContract, an_empty_write_completes) {
  auto file = create("a");
  Heard heard;
  file->write(0, {}, heard);
  EXPECT_EQ(wait(heard), 0u);
  EXPECT_EQ(file->size(), 0u);
}

TEST_P(FileContract, a_sync_completes_with_zero) {
  auto file = create("a");
  ASSERT_TRUE(write(*file, 0, as_bytes("x")));
  Heard heard;
  file->sync(heard);
  EXPECT_EQ(wait(heard), 0u);
  EXPECT_TRUE(file->sync_now());
}

TEST_P(FileContract, a_read_past_the_end_completes_with_fewer_bytes) {
  auto file = create("a");
  ASSERT_TRUE(write(*file, 0, as_bytes("hello")));
  uint8_t into[10];
  EXPECT_EQ(read(*file, 2, into), 3u);
  EXPECT_EQ(text_of(std::span(into).first(3)), "llo");
  EXPECT_EQ(read(*file, 5, into), 0u);
  EXPECT_EQ(read(*file, 500, into), 0u);
  EXPECT_EQ(file->read_now(2, into), 3u);
  EXPECT_EQ(file->read_now(500, into), 0u);
}

TEST_P(FileContract, a_write_past_the_end_leaves_zeros_between) {
  auto file = create("a");
  ASSERT_TRUE(write(*file, 3, as_bytes("x")));
  EXPECT_EQ(file->size(), 4u);
  uint8_t into[4];
  EXPECT_EQ(read(*file, 0, into), 4u);
  EXPECT_EQ(text_of(into), std::string("\0\0\0x", 4));
}

TEST_P(FileContract, many_operations_under_way_each_complete_once) {
  constexpr size_t count = 1000;  // more than a ring holds
  constexpr size_t size = 64;
  auto file = create("a");
  std::vector<uint8_t> content(count * size);
  std::mt19937 random(1);
  std::generate(content.begin(), content.end(), [&] { return static_cast<uint8_t>(random()); });
  std::vector<Heard> written(count);
  for (size_t i = 0; i < count; ++i) {
    const Bytes parts[] = {Bytes(content).subspan(i * size, size)};
    file->write(i * size, parts, written[i]);
  }
  ASSERT_TRUE(rig->run_until([&] {
    return std::all_of(written.begin(), written.end(), [](Heard& h) { return h.times > 0; });
  }));
  for (Heard& heard : written) EXPECT_EQ(wait(heard), size);

  std::vector<uint8_t> into(content.size());
  std::vector<Heard> got(count);
  for (size_t i = 0; i < count; ++i) {
    file->read(i * size, std::span(into).subspan(i * size, size), got[i]);
  }
  for (Heard& heard : got) EXPECT_EQ(wait(heard), size);
  EXPECT_EQ(into, content);
}

TEST_P(FileContract, a_completion_may_start_the_next_operation) {
  struct Chain final : port::FileCompletion {
    void complete(Result<size_t> result) override {
      ASSERT_TRUE(result.has_value()) << result.error().to_string();
      if (++written == 50) return;
      const Bytes parts[] = {as_bytes("abc")};
      file->write(3 * written, parts, *this);
    }
    port::File* file = nullptr;
    uint64_t written = 0;
  } chain;
  auto file = create("a");
  chain.file = file.get();
  const Bytes parts[] = {as_bytes("abc")};
  file->write(0, parts, chain);
  EXPECT_TRUE(rig->run_until([&] { return chain.written == 50; }));
  EXPECT_EQ(file->size(), 150u);
}

TEST_P(FileContract, direct_and_synchronous_writes_of_whole_blocks_are_read_back) {
  auto file = create("a", {.direct = true, .synchronous = true});
  const size_t unit = std::max<size_t>(file->alignment(), 4096);
  EXPECT_EQ(file->direct(), file->alignment() > 1);
  Aligned first(unit, 'a'), second(2 * unit, 'b'), into(3 * unit);
  Heard heard;
  const Bytes parts[] = {first.bytes(), second.bytes()};
  file->write(unit, parts, heard);
  EXPECT_EQ(wait(heard), 3 * unit);
  EXPECT_EQ(file->size(), 4 * unit);
  EXPECT_EQ(read(*file, unit, into.span()), 3 * unit);
  EXPECT_EQ(into.bytes().front(), 'a');
  EXPECT_EQ(into.bytes()[unit], 'b');
  EXPECT_EQ(into.bytes().back(), 'b');
}

TEST_P(FileContract, a_direct_operation_that_is_not_aligned_is_refused_by_name) {
  auto file = create("a", {.direct = true});
  if (!file->direct()) GTEST_SKIP() << "no direct I/O here";
  Aligned memory(8192, 'x');
  auto expect_refused = [](const Result<size_t>& result) {
    ASSERT_FALSE(result.has_value());
    EXPECT_EQ(result.error().code, BOP_E_INVALID_ARGUMENT);
    EXPECT_NE(result.error().detail.find("of a: "), std::string::npos) << result.error().detail;
  };
  expect_refused(write(*file, 100, memory.bytes().first(4096)));
  expect_refused(write(*file, 0, memory.bytes().first(100)));
  expect_refused(write(*file, 0, memory.bytes().subspan(8, 4096)));
  expect_refused(read(*file, 100, memory.span().first(4096)));
  expect_refused(read(*file, 0, memory.span().subspan(8, 4096)));
  expect_refused(file->read_now(100, memory.span().first(4096)));
  EXPECT_EQ(file->write_now(100, memory.bytes().first(4096)).error().code, BOP_E_INVALID_ARGUMENT);
  EXPECT_EQ(file->size(), 0u);
}

TEST_P(FileContract, blocking_and_asynchronous_calls_see_the_same_bytes) {
  auto file = create("a");
  ASSERT_TRUE(file->write_now(0, as_bytes("blocking")));
  uint8_t into[8];
  EXPECT_EQ(read(*file, 0, into), 8u);
  EXPECT_EQ(text_of(into), "blocking");
  ASSERT_TRUE(write(*file, 0, as_bytes("deferred")));
  EXPECT_EQ(file->read_now(0, into), 8u);
  EXPECT_EQ(text_of(into), "deferred");
}

TEST_P(FileContract, creating_what_exists_fails_and_leaves_it_alone) {
  create("a")->write_now(0, as_bytes("kept")).value();
  auto again = files().open_now("a", {.create = true});
  ASSERT_FALSE(again.has_value());
  EXPECT_EQ(again.error().code, BOP_E_IO);
  EXPECT_EQ(open("a", {})->size(), 4u);
}

TEST_P(FileContract, opening_what_does_not_exist_fails_by_name) {
  auto file = files().open_now("missing", {});
  ASSERT_FALSE(file.has_value());
  EXPECT_EQ(file.error().code, BOP_E_NOT_FOUND);
  EXPECT_NE(file.error().detail.find("missing"), std::string::npos);
}

TEST_P(FileContract, a_read_only_file_refuses_writes) {
  create("a")->write_now(0, as_bytes("kept")).value();
  auto file = open("a", {.read_only = true});
  const auto result = write(*file, 0, as_bytes("lost"));
  ASSERT_FALSE(result.has_value());
  EXPECT_EQ(result.error().code, BOP_E_IO);
  EXPECT_FALSE(file->write_now(0, as_bytes("lost")));
  uint8_t into[4];
  EXPECT_EQ(read(*file, 0, into), 4u);
  EXPECT_EQ(text_of(into), "kept");
}

TEST_P(FileContract, files_are_opened_renamed_and_removed_asynchronously) {
  std::unique_ptr<port::File> file;
  Heard opened, renamed, synced, removed, missing;
  files().open("a", {.create = true}, file, opened);
  EXPECT_EQ(opened.times, 0);
  ASSERT_TRUE(wait(opened));
  ASSERT_NE(file, nullptr);
  ASSERT_TRUE(write(*file, 0, as_bytes("hello")));
  file.reset();

  files().rename("a", "b", renamed);
  EXPECT_EQ(renamed.times, 0);
  ASSERT_TRUE(wait(renamed));
  files().sync_directory(".", synced);
  EXPECT_EQ(synced.times, 0);
  ASSERT_TRUE(wait(synced));
  EXPECT_EQ(files().list_now("."), std::vector<std::string>{"b"});

  files().remove("b", removed);
  EXPECT_EQ(removed.times, 0);
  ASSERT_TRUE(wait(removed));
  EXPECT_EQ(files().list_now("."), std::vector<std::string>{});
  files().remove("b", missing);
  EXPECT_EQ(wait(missing).error().code, BOP_E_NOT_FOUND);
}

TEST_P(FileContract, an_asynchronous_open_that_fails_leaves_the_file_unset) {
  std::unique_ptr<port::File> file;
  Heard opened;
  files().open("missing", {}, file, opened);
  EXPECT_EQ(wait(opened).error().code, BOP_E_NOT_FOUND);
  EXPECT_EQ(file, nullptr);
}

TEST_P(FileContract, errors_name_a_renamed_file_by_its_new_name) {
  create("a")->write_now(0, as_bytes("kept")).value();
  auto file = open("a", {.read_only = true});
  ASSERT_TRUE(files().rename_now("a", "b"));
  file->renamed("b");
  const auto result = write(*file, 0, as_bytes("lost"));
  ASSERT_FALSE(result.has_value());
  EXPECT_EQ(result.error().detail.find("write of b: "), 0u) << result.error().detail;
}

TEST_P(FileContract, a_renamed_file_replaces_the_one_that_was_there) {
  create("old")->write_now(0, as_bytes("new content")).value();
  create("name")->write_now(0, as_bytes("x")).value();
  ASSERT_TRUE(files().rename_now("old", "name"));
  ASSERT_TRUE(files().sync_directory_now("."));
  EXPECT_EQ(open("name", {})->size(), 11u);
  EXPECT_FALSE(files().open_now("old", {}).has_value());
}

TEST_P(FileContract, directories_are_made_with_their_parents_and_listed_in_order) {
  ASSERT_TRUE(files().make_directory_now("x/y"));
  ASSERT_TRUE(files().make_directory_now("x/y"));
  for (const char* name : {"x/y/c", "x/y/a", "x/y/b"}) create(name);
  EXPECT_EQ(files().list_now("x/y"), (std::vector<std::string>{"a", "b", "c"}));
  EXPECT_EQ(files().list_now("x"), std::vector<std::string>{"y"});
  EXPECT_EQ(files().list_now("none").error().code, BOP_E_NOT_FOUND);
  ASSERT_TRUE(files().remove_now("x/y/a"));
  EXPECT_EQ(files().list_now("x/y"), (std::vector<std::string>{"b", "c"}));
}

TEST_P(FileContract, names_outside_the_root_are_refused) {
  for (const char* name : {"", "/etc/passwd", "..", "a/../../b", "a/.."}) {
    EXPECT_EQ(files().open_now(name, {}).error().code, BOP_E_INVALID_ARGUMENT) << name;
    EXPECT_EQ(files().remove_now(name).error().code, BOP_E_INVALID_ARGUMENT) << name;
    Heard heard;
    files().remove(name, heard);
    EXPECT_EQ(wait(heard).error().code, BOP_E_INVALID_ARGUMENT) << name;
  }
}

TEST_P(FileContract, free_space_is_known) {
  const auto free = files().free_bytes();
  ASSERT_TRUE(free.has_value());
  EXPECT_GT(*free, 0u);
}

}  // namespace bop::tests

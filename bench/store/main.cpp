// bop-store DIRECTORY [MIB] [VALUE_BYTES]: makes a store of random keys, then alternates a sequential read of its file
// and its verification, each without any of its pages in the page cache, and prints both in MB/s. Also: what flushing
// took, how fast the store is cut into the parts of a snapshot, and how many bytes of them are new after 1 % of the
// records, adjacent ones, got other values.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include "base/random.h"
#include "machine/kv/parts.h"
#include "machine/kv/store_mdbx.h"
#include "mem/page_cache.h"

namespace {

using namespace bop;
using namespace bop::machine::kv;

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

[[noreturn]] void die(const std::string& what) {
  std::fprintf(stderr, "bop-store: %s\n", what.c_str());
  std::exit(1);
}

// A record at the position's index, whose bytes must outlive the change.
Change change_of(const std::string& key, const std::string& value, const Progress& at) {
  Change change{};
  change.key = as_bytes(key);
  change.present = true;
  change.revision = at.position.index;
  change.value = as_bytes(value);
  change.hash = record_hash(change.key, change.revision, change.value);
  return change;
}

// Sorted records with new random keys.
class RandomChanges final : public Changes {
 public:
  RandomChanges(Random& random, size_t count, size_t value_bytes, Progress before)
      : value_(value_bytes, 'v'), progress_(before) {
    while (keys_.size() < count) {
      char key[17];
      std::snprintf(key, sizeof key, "%016llx", static_cast<unsigned long long>(random.next()));
      keys_.insert(key);
    }
    ++progress_.position.index;
    progress_.position.term = 1;
    next_ = keys_.begin();
  }
  bool next(Change& change) override {
    if (next_ == keys_.end()) return false;
    const std::string& key = *next_++;
    for (size_t i = 0; i < 8 && i < value_.size(); ++i) value_[i] = key[i];
    change = change_of(key, value_, progress_);
    sum_ += totals_of(true, change.hash);
    return true;
  }
  void replaced(const std::optional<Stored>&) override {}
  void restart() override {
    next_ = keys_.begin();
    sum_ = {};
  }
  Progress progress() override {
    Progress after = progress_;
    after.totals += sum_;
    return after;
  }

 private:
  std::string value_;
  Progress progress_;
  Totals sum_;
  std::set<std::string> keys_;
  std::set<std::string>::iterator next_;
};

// Gives the records from `from` on other values.
class AdjacentChanges final : public Changes {
 public:
  AdjacentChanges(std::vector<std::pair<std::string, Stored>> records, size_t value_bytes,
                  Progress before)
      : value_(value_bytes, 'w'), records_(std::move(records)), progress_(before) {
    ++progress_.position.index;
  }
  bool next(Change& change) override {
    if (next_ == records_.size()) return false;
    const auto& [key, before] = records_[next_++];
    change = change_of(key, value_, progress_);
    sum_ += totals_of(true, change.hash);
    sum_ -= totals_of(true, before.hash);
    return true;
  }
  void replaced(const std::optional<Stored>&) override {}
  void restart() override {
    next_ = 0;
    sum_ = {};
  }
  Progress progress() override {
    Progress after = progress_;
    after.totals += sum_;
    return after;
  }

 private:
  std::string value_;
  std::vector<std::pair<std::string, Stored>> records_;
  Progress progress_;
  Totals sum_;
  size_t next_ = 0;
};

struct Parts {
  std::set<std::pair<uint64_t, uint64_t>> digests;
  uint64_t bytes = 0;
  uint64_t new_bytes = 0;  // of parts that are not among `known`
  size_t new_parts = 0;
  double seconds = 0;
};

Parts cut(Store& store, const Parts& known) {
  constexpr uint64_t part_bytes = 1 << 20;
  const double begin = now();
  auto pinned = store.pin();
  if (!pinned) die(pinned.error().to_string());
  Parts parts;
  const auto count = [&](const std::vector<uint8_t>& part) {
    const Hash128 digest = hash128(part);
    const std::pair id(digest.low, digest.high);
    parts.digests.insert(id);
    parts.bytes += part.size();
    if (known.digests.contains(id)) return;
    parts.new_bytes += part.size();
    ++parts.new_parts;
  };
  const Status read = (*pinned)->read([&](Snapshot& snapshot) -> Status {
    PartCutter cutter(part_bytes);
    BOP_TRY_ASSIGN(auto record, snapshot.seek({}));
    while (record) {
      if (cutter.add(*record)) count(cutter.take());
      BOP_TRY_ASSIGN(record, snapshot.next());
    }
    if (!cutter.empty()) count(cutter.take());
    return {};
  });
  if (!read) die(read.error().to_string());
  parts.seconds = now() - begin;
  return parts;
}

void print_parts(const char* what, const Parts& parts) {
  std::printf("%s: %zu parts, %.0f MB, %.0f MB/s; %zu new parts with %.1f MB: %.2f %%\n", what,
              parts.digests.size(), static_cast<double>(parts.bytes) / 1e6,
              static_cast<double>(parts.bytes) / 1e6 / parts.seconds, parts.new_parts,
              static_cast<double>(parts.new_bytes) / 1e6,
              100 * static_cast<double>(parts.new_bytes) / static_cast<double>(parts.bytes));
}

void snapshots(Store& store, Progress progress, size_t records, size_t value_bytes) {
  const Parts first = cut(store, {});
  print_parts("snapshot", first);
  std::vector<std::pair<std::string, Stored>> adjacent;
  const Status read = store.read([&](Snapshot& snapshot) -> Status {
    const std::string_view middle = "8000000000000000";
    BOP_TRY_ASSIGN(auto record, snapshot.seek(as_bytes(middle)));
    while (record && adjacent.size() < records / 100) {
      adjacent.emplace_back(as_text(record->key), record->stored);
      adjacent.back().second.value = {};
      BOP_TRY_ASSIGN(record, snapshot.next());
    }
    return {};
  });
  if (!read) die(read.error().to_string());
  const std::string what = std::to_string(adjacent.size()) + " adjacent records of " +
                           std::to_string(records) + " changed";
  AdjacentChanges changes(std::move(adjacent), value_bytes, progress);
  if (Status flushed = store.flush(changes); !flushed) die(flushed.error().to_string());
  if (Status synced = store.sync(); !synced) die(synced.error().to_string());
  print_parts(what.c_str(), cut(store, first));
}

void forget(const std::string& path) {
  const int file = open(path.c_str(), O_RDONLY);
  fsync(file);
  posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED);
  close(file);
}

double read_seconds(const std::string& path) {
  forget(path);
  const int file = open(path.c_str(), O_RDONLY);
  posix_fadvise(file, 0, 0, POSIX_FADV_SEQUENTIAL);
  std::vector<uint8_t> buffer(1 << 20);
  const double begin = now();
  while (read(file, buffer.data(), buffer.size()) > 0) {
  }
  const double seconds = now() - begin;
  close(file);
  return seconds;
}

struct Verified {
  double seconds, cpu_seconds;
  uint64_t bytes;
};

double cpu() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

Verified verify(const StoreOptions& options, const std::string& path) {
  auto store = open_mdbx_store(options);
  if (!store) die(store.error().to_string());
  forget(path);
  const double begin = now();
  const double cpu_begin = cpu();
  auto check = (*store)->begin_check();
  if (!check) die(check.error().to_string());
  for (;;) {
    const auto complete = (*check)->step();
    if (!complete) die(complete.error().to_string());
    if (*complete) break;
  }
  return {now() - begin, cpu() - cpu_begin, (*check)->done_bytes()};
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) die("usage: bop-store DIRECTORY [MIB] [VALUE_BYTES]");
  const size_t bytes = (argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 512) << 20;
  const size_t value_bytes = argc > 3 ? std::strtoull(argv[3], nullptr, 10) : 100;
  StoreOptions options;
  options.directory = std::string(argv[1]) + "/bop-store";
  std::filesystem::create_directories(options.directory);
  const std::string path = options.directory + "/kv.mdbx";
  {
    auto store = open_mdbx_store(options);
    if (!store) die(store.error().to_string());
    Random random(1);
    Progress progress = (*store)->opened();
    const size_t records_a_flush = std::min<size_t>(200'000, (64 << 20) / (value_bytes + 40));
    double flushing = 0;
    uint64_t records = 0;
    while (std::filesystem::file_size(path) < bytes) {
      RandomChanges changes(random, records_a_flush, value_bytes, progress);
      const double begin = now();
      if (Status flushed = (*store)->flush(changes); !flushed) die(flushed.error().to_string());
      if (Status synced = (*store)->sync(); !synced) die(synced.error().to_string());
      flushing += now() - begin;
      records += records_a_flush;
      progress = changes.progress();
    }
    std::printf("flush: %llu records of %zu bytes, %.2f us each\n",
                static_cast<unsigned long long>(records), value_bytes,
                flushing / static_cast<double>(records) * 1e6);
    snapshots(**store, progress, records, value_bytes);
  }
  for (int round = 0; round < 5; ++round) {
    const double mb = static_cast<double>(std::filesystem::file_size(path)) / 1e6;
    const double read = read_seconds(path);
    const Verified verified = verify(options, path);
    std::printf(
        "%.0f MB: sequential read %.0f MB/s, verification %.0f MB/s: %.2f; %.2f s of CPU; "
        "%.0f MB in use\n",
        mb, mb / read, mb / verified.seconds, read / verified.seconds, verified.cpu_seconds,
        static_cast<double>(verified.bytes) / 1e6);
  }
  std::filesystem::remove_all(options.directory);
}

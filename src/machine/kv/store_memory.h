// A store in memory with the behaviour of the one on libmdbx: for machines without a directory, and for tests
// and the simulator, where its image survives a crash.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "machine/kv/store.h"

namespace bop::machine::kv {

// The contents of disk and page cache. After a crash of the process it has all commits, after a power loss
// only those of the last sync. open() returns to the last sync in both cases, as store_mdbx.h does.
class StoreImage {
 public:
  struct Copy {
    uint64_t revision = 0;
    Hash128 hash;  // as it was written
    std::string value;
    friend bool operator==(const Copy&, const Copy&) = default;
  };
  using Records = std::map<std::string, Copy, std::less<>>;

  enum class Step { begin_flush, change, commit, begin_sync, end_sync };
  // Called on the worker before each step of a flush or sync. An error fails the step like a failing disk.
  // Tests and the simulator throw, stop or fail here.
  std::function<Status(Step)> on_step;

  void lose_power();

  Progress committed() const;
  Progress synced() const;
  Records committed_records() const;

  uint64_t max_pinned_bytes = 256 << 20;  // as in StoreOptions

  // What a device may do to the records: changes a bit (modulo their number) of the nth record's revision and value,
  // loses the record, or has an older copy of it. False: there is no such record.
  bool rot(size_t nth, uint64_t bit = 70);
  bool lose(size_t nth);
  bool replace(const std::string& key, const Copy& copy);
  // How often that was found.
  uint64_t damage_found() const { return damage_found_; }

 private:
  friend class MemoryStore;
  // A pinned state: records_, but for the records that were changed since.
  struct Pin;

  mutable std::mutex mutex_;
  std::atomic<uint64_t> damage_found_{0};
  std::vector<Pin*> pins_;
  Records records_;  // as committed
  Progress committed_;
  Progress synced_;
  // The records of the last sync that differ from records_; nullopt: there was no record with that key.
  std::map<std::string, std::optional<Copy>, std::less<>> undo_;

  void go_back_to_sync();
};

// At most one store may be open on an image.
std::unique_ptr<Store> open_memory_store(std::shared_ptr<StoreImage> image);

// Makes stores whose contents are lost when they are closed.
StoreFactory make_volatile_stores();

}  // namespace bop::machine::kv

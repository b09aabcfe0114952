// A store in memory that behaves as the one on libmdbx: for machines without a directory, and for tests and
// the simulator, where its image survives a crash.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "machine/kv/store.h"

namespace bop::machine::kv {

// What the disk and the page cache hold of a store. A crash of the process leaves all that was
// committed, a loss of power the last sync; open() takes the last sync in both cases, as
// store_mdbx.h does.
class StoreImage {
 public:
  struct Copy {
    uint64_t revision = 0;
    std::string value;
    friend bool operator==(const Copy&, const Copy&) = default;
  };
  using Records = std::map<std::string, Copy, std::less<>>;

  enum class Step { begin_flush, change, commit, begin_sync, end_sync };
  // Called on the worker before each step of a flush or sync; an error fails the step as a failing
  // disk would. Tests and the simulator throw, stop or fail here.
  std::function<Status(Step)> on_step;

  void lose_power();

  Progress committed() const;
  Progress synced() const;
  Records committed_records() const;

 private:
  friend class MemoryStore;

  mutable std::mutex mutex_;
  Records records_;  // as committed
  Progress committed_;
  Progress synced_;
  // What the last sync holds where it differs from records_; nullopt: no record of that key.
  std::map<std::string, std::optional<Copy>, std::less<>> undo_;

  void go_back_to_sync();
};

// At most one store may be open on an image.
std::unique_ptr<Store> open_memory_store(std::shared_ptr<StoreImage> image);

// Stores that forget everything when they close.
StoreFactory make_volatile_stores();

}  // namespace bop::machine::kv

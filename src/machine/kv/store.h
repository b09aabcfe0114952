// The ordered store beneath the memtables, such as libmdbx: any number of readers on snapshots, one writer.
//
// Crashes. A flush is one transaction, so the store always has the state at one index, which it records.
// (If a flush were several transactions, a crash between two would leave some records newer than others.
// Replaying the log onto them would evaluate conditions against later values, and reply differently from the
// other replicas.) open() returns to the last successful sync, whether the process or the operating system
// crashed. Later commits are often intact after a crash of the process alone, but not always: after a failed
// write the kernel may have dropped pages that it still reports as written. Little is lost by that, since
// every flush is followed by a sync, and the log keeps what is not durable. So a store in doubt is never
// reopened in that state, and needs no mark to prevent it, which a failing disk might refuse to write.
//
// Threads: read() is called on one worker at a time, flush() and sync() on another.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "bop/machine.h"
#include "machine/kv/stored_record.h"
#include "machine/kv/totals.h"

namespace bop::machine::kv {

// The state of a store: that after the entry at `position`.
struct Progress {
  bop_position position{0, 0};
  Totals totals;
};

// Bytes of a record are valid until the next call on the same object. Every record that a store returns is verified.
struct StoredRecord {
  Bytes key;
  Stored stored;
};

// The state after the last commit before it was made.
class Snapshot {
 public:
  virtual ~Snapshot() = default;
  virtual Result<std::optional<Stored>> get(Bytes key) = 0;
  // The first record at or after `key`; with an empty key the first of all.
  virtual Result<std::optional<StoredRecord>> seek(Bytes key) = 0;
  // The record after the one that seek() or next() returned last.
  virtual Result<std::optional<StoredRecord>> next() = 0;
};

// The state after one commit, for as long as it is open, while flushes go on. They cannot reuse the space that it needs, so
// the store closes it when this space exceeds a limit. Must be destroyed before the store.
class PinnedState {
 public:
  virtual ~PinnedState() = default;
  virtual const Progress& progress() const = 0;
  // On one worker at a time, concurrently with everything else. OVERLOADED: the store closed it.
  virtual Status read(const std::function<Status(Snapshot&)>& work) = 0;
};

// One change of a flush.
struct Change {
  Bytes key;
  bool present = false;  // false: deleted
  uint64_t revision = 0;
  Hash128 hash;  // record_hash(), if present
  Bytes value;
  bool want_replaced = false;  // Changes::replaced() has to be called with the previous record
};

// The changes of a flush, as the store consumes them.
class Changes {
 public:
  virtual ~Changes() = default;
  // The next change, in the order of keys; false: there are no more.
  virtual bool next(Change& change) = 0;
  // Called for a change with want_replaced: the record that it replaced or deleted.
  virtual void replaced(const std::optional<Stored>& record) = 0;
  // The store found no space in its map and repeats the flush in a larger one: next() begins with the first
  // change again, and earlier calls of replaced() are void.
  virtual void restart() = 0;
  // The state of the store after all changes.
  virtual Progress progress() = 0;
};

// Verifies a whole store, in steps that a worker runs one at a time. Meanwhile the store must not change.
class StoreCheck {
 public:
  virtual ~StoreCheck() = default;
  // True: complete, and the store has exactly the records that its totals count. An error names what is damaged.
  virtual Result<bool> step() = 0;
  // May be called between steps.
  virtual uint64_t done_bytes() const = 0;
  virtual uint64_t total_bytes() const = 0;  // 0: not known yet
};

// Consecutive records, as Store::scrub() found them.
struct Slice {
  Totals totals;
  uint64_t bytes = 0;
  std::vector<uint8_t>
      next;  // the key at which the next slice begins; empty: there are no more records
};

class Store {
 public:
  virtual ~Store() = default;  // does not sync

  // The state when it was opened, which is durable. Not verified.
  virtual const Progress& opened() const = 0;

  // Called before anything else; the check must be destroyed before the store.
  virtual Result<std::unique_ptr<StoreCheck>> begin_check() = 0;
  // Verifies records from the key `from` on, until they have `max_bytes`. Called on the worker of flushes.
  virtual Result<Slice> scrub(Bytes from, uint64_t max_bytes) = 0;

  virtual Status read(const std::function<Status(Snapshot&)>& work) = 0;
  // All changes or none. After DISK_FULL it may be tried again. After any other error of flush() or sync()
  // the store has to be reopened.
  virtual Status flush(Changes& changes) = 0;
  // Makes all earlier flushes durable.
  virtual Status sync() = 0;

  // Pins the state after the last flush. Called on the worker of flushes.
  virtual Result<std::unique_ptr<PinnedState>> pin() = 0;
  // DISK_FULL: there is no space for so many bytes of records.
  virtual Status check_space(uint64_t bytes) = 0;
};

// Which replica's state a store has. One of another replica is not opened.
struct StoreIdentity {
  std::array<uint8_t, 16> cluster{};
  uint64_t group = 0;     // id; 0: not known, every store is opened
  uint64_t instance = 0;  // of the group's machines on this node, which succeed each other
  friend bool operator==(const StoreIdentity&, const StoreIdentity&) = default;
};

struct StoreOptions {
  std::string directory;   // empty: none
  uint64_t map_bytes = 0;  // limit of the store's size; 0: the store's default
  // What pinned states may keep flushes from reusing; 0: as much as the store has, and 256 MiB.
  uint64_t max_pinned_bytes = 0;
  std::function<void(int32_t level, const char* text)> log;  // as host->log; any thread
  StoreIdentity identity = {};
};

using StoreFactory = std::function<Result<std::unique_ptr<Store>>(const StoreOptions&)>;

}  // namespace bop::machine::kv

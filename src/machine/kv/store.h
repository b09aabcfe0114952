// The ordered store beneath the memtables, as libmdbx is one: many readers of a snapshot, one writer.
//
// What a crash leaves. A flush is one transaction, so the store only ever holds a state as it was at
// one index, and says at which. (Flushing in several transactions would leave, after a crash between
// two, some records from later than the rest: replaying the log onto them would evaluate conditions
// against the future and answer differently from the other replicas.) open() goes back to the last
// sync that succeeded, whether the process or the machine crashed. The commits since would often be
// intact after a mere process crash, but not always: after a failed write the kernel may have dropped
// pages that it still says it has. They are worth little: every flush is followed by a sync, and the
// log keeps what is not durable. So no store in doubt is ever reopened as it was, and none has to be
// marked as condemned: a mark that a failing disk might refuse.
//
// Threads: read() is called from one worker at a time, flush() and sync() from another.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/bytes.h"
#include "base/result.h"
#include "bop/machine.h"
#include "machine/kv/totals.h"

namespace bop::machine::kv {

// What a store holds: the state after the entry at `position`.
struct Progress {
  bop_position position{0, 0};
  Totals totals;
};

// Bytes of a record are valid until the next call on the same object.
struct Stored {
  uint64_t revision = 0;
  Bytes value;
};
struct StoredRecord {
  Bytes key;
  Stored stored;
};

// The state as of the last commit before it was opened.
class Snapshot {
 public:
  virtual ~Snapshot() = default;
  virtual Result<std::optional<Stored>> get(Bytes key) = 0;
  // The first record at or after `key`; empty: the first of all.
  virtual Result<std::optional<StoredRecord>> seek(Bytes key) = 0;
  // The one after what seek or next gave last.
  virtual Result<std::optional<StoredRecord>> next() = 0;
};

// One change of a flush.
struct Change {
  Bytes key;
  bool present = false;  // false: deleted
  uint64_t revision = 0;
  Bytes value;
  bool want_replaced = false;  // whether Changes::replaced is to be told the record before
};

// What a store asks during a flush.
class Changes {
 public:
  virtual ~Changes() = default;
  // The next change, in order of keys; false: that was all.
  virtual bool next(Change& change) = 0;
  // The record that the last change replaced or deleted, if it wants to know.
  virtual void replaced(const std::optional<Stored>& record) = 0;
  // From the first change on again: the store found no space in its map and repeats the flush in a larger
  // one. What `replaced` told before is void.
  virtual void restart() = 0;
  // What the store holds after all of them.
  virtual Progress progress() = 0;
};

class Store {
 public:
  virtual ~Store() = default;  // without a sync

  // As it was opened: all of it durable.
  virtual const Progress& opened() const = 0;

  virtual Status read(const std::function<Status(Snapshot&)>& work) = 0;
  // All or nothing.
  virtual Status flush(Changes& changes) = 0;
  // What was flushed before is durable when it succeeded. After an error of flush or sync nothing but
  // reopening makes sense.
  virtual Status sync() = 0;
};

struct StoreOptions {
  std::string directory;   // empty: none
  uint64_t map_bytes = 0;  // the largest the store may become; 0: its default
  std::function<void(int32_t level, const char* text)> log;  // as host->log; any thread
};

using StoreFactory = std::function<Result<std::unique_ptr<Store>>(const StoreOptions&)>;

}  // namespace bop::machine::kv

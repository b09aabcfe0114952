// A memtable: the changes of a run of entries, in memory, relative to the state beneath: the older memtable
// and the store.
//
//            apply changes it          a worker sorts and flushes it      read as a cache, until dropped
//   (new) ──► active ────── freeze ───► immutable ────── flushed ───────────► flushed
//
// Totals. The record count and the hash of the state that includes a memtable are those of the state
// beneath, plus what the memtable's records add, minus what the stored versions of the same keys had added.
// A plain PUT does not need the stored version and does not look it up. A worker does so later, in the order
// in which keys were first touched, so that the totals at an earlier index (a Point) become final as well.
//
// Threads: it is used on the shard's thread. Workers may read it when it is immutable; then only its stored
// versions change, and only before its flush begins.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "bop/machine.h"
#include "machine/kv/key_index.h"
#include "machine/kv/record.h"
#include "mem/region.h"

namespace bop::machine::kv {

// The result of looking up a key in the state beneath a memtable. `revision`, `value` and `hash` are only
// valid if the record is present.
struct Known {
  bool present = false;
  uint64_t revision = 0;
  Bytes value;
  Hash128 hash;
};

// An index at which the totals of the state are wanted.
struct Point {
  uint64_t index = 0;
  size_t touched = 0;                     // number of keys touched up to that index
  Totals added;                           // by the memtable's records at that index
  std::optional<Totals> stored_versions;  // of those keys, when all are known
  std::vector<uint64_t> waiting;          // tokens of count queries that wait for it
};

class Memtable {
 public:
  Memtable();
  ~Memtable();
  Memtable(const Memtable&) = delete;
  Memtable& operator=(const Memtable&) = delete;

  // `hash` is of the key, the same function for all calls.
  const Record* find(Bytes key, uint64_t hash) const;

  // Prefetch for a key with that hash, which will be used some operations later (expect) or among the next
  // few (expect_next).
  [[gnu::always_inline]] void expect(uint64_t hash) const { index_.prefetch_slot(hash); }
  [[gnu::always_inline]] void expect_next(uint64_t hash) const { index_.prefetch_record(hash); }

  // Sets the record's value to head + tail, which may point into its present value. `stored` is used when
  // the key is touched for the first time; nullptr: the stored version is unknown.
  void put(Bytes key, uint64_t hash, uint64_t revision, Bytes head, Bytes tail,
           const Known* stored);
  void erase(Bytes key, uint64_t hash, uint64_t revision, const Known* stored);

  size_t bytes() const { return bytes_; }
  size_t touched() const { return touched_.size(); }

  // ---- totals ----

  // The totals of the state beneath. Known for the memtable directly above the store.
  void set_start(const Totals& totals) { start_ = totals; }
  const std::optional<Totals>& start() const { return start_; }

  void add_point(uint64_t index);
  std::deque<Point>& points() { return points_; }
  const std::deque<Point>& points() const { return points_; }
  // Adds up stored versions, in the order of touched keys, up to the first that is unknown, and sets those
  // of points.
  void advance();
  // How many touched keys advance() has added up.
  size_t resolved() const { return resolved_; }
  // The totals of the state at a point; nullopt: its stored versions or the state beneath are not known yet.
  std::optional<Totals> totals_at(const Point& point) const;
  // The totals of the state that includes the whole memtable; nullopt: as above.
  std::optional<Totals> totals() const;
  const Totals& added() const { return added_; }
  const Totals& resolved_stored_versions() const { return stored_versions_; }

  // The record that was touched as the `ordinal`th.
  const Record& touched_record(size_t ordinal) const { return *touched_[ordinal]; }
  void stored_version_found(size_t ordinal, bool present, const Hash128& hash);
  // A flush found all other stored versions: `all` are their totals, `at_points` those up to each point that
  // had none.
  void stored_versions_flushed(const std::vector<Totals>& at_points, const Totals& all);

  // ---- order ----

  // Adds up to `count` more touched keys to the ordered index; true when all keys are in it.
  bool order_more(size_t count);
  // Visits records in key order from `first` on, or after it, while visit returns true. All keys must be in
  // the ordered index.
  void walk(Bytes first, bool after, const std::function<bool(const Record&)>& visit) const;

  // Sorts the records of an immutable memtable. Called on a worker.
  void sort();
  bool is_sorted() const { return sorted_.size() == touched_.size(); }
  const std::vector<const Record*>& sorted() const { return sorted_; }

 private:
  struct Order;

  Record& insert(Bytes key, uint64_t hash, size_t capacity, const Known* stored);
  // Moves the record to new memory that has space for a value of `size` bytes. The old memory is not reused.
  Record& enlarge(KeyIndex::Slot& slot, size_t size);
  void count(Record& record, bool present, uint64_t revision);

  mem::Region region_;  // of the records, and of the index
  KeyIndex index_{region_};
  std::vector<Record*> touched_;  // by ordinal
  size_t bytes_ = 0;              // of memory, approximately

  std::optional<Totals> start_;  // of the state beneath
  Totals added_;                 // by the records
  Totals stored_versions_;       // of the first resolved_ touched keys
  size_t resolved_ = 0;
  std::deque<Point> points_;  // by index

  std::unique_ptr<Order> order_;  // ordered index of the first ordered_ touched keys
  size_t ordered_ = 0;
  std::vector<const Record*> sorted_;  // by key; filled by sort()
};

}  // namespace bop::machine::kv

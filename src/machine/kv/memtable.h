// A memtable: the changes that a run of entries made, in memory, on top of a state that it does not hold.
//
//            apply changes it          a worker sorts and flushes it      read as a cache, until dropped
//   (new) ──► active ────── freeze ───► immutable ────── flushed ───────────► flushed
//
// Totals. The record count and the hash of the state that includes a memtable are those of the state
// beneath, plus what the memtable's records add, minus what the stored versions of the same keys had added.
// A plain PUT need not know the stored version and does not look it up; a worker does so later, in the order
// in which keys were first touched, so that the totals at an earlier index (a Point) become final as well.
//
// Threads: the shard's. Workers may read it once it is immutable. From then on only stored versions
// change, and only before its flush begins.
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

// A record of the state beneath a memtable, as a lookup found it. `revision`, `value` and `hash` are valid
// when it is present.
struct Known {
  bool present = false;
  uint64_t revision = 0;
  Bytes value;
  Hash128 hash;
};

// An index at which the totals of the state are wanted.
struct Point {
  uint64_t index = 0;
  size_t touched = 0;                     // keys that the memtable had touched then
  Totals added;                           // by the memtable's records, as they were then
  std::optional<Totals> stored_versions;  // of those keys, once all are known
  std::vector<uint64_t> waiting;          // tokens of questions that wait for it
};

class Memtable {
 public:
  Memtable();
  ~Memtable();
  Memtable(const Memtable&) = delete;
  Memtable& operator=(const Memtable&) = delete;

  // `hash` is of the key, the same function for all calls.
  const Record* find(Bytes key, uint64_t hash) const;

  // Hints that bring memory near: a key of that hash is looked up or changed some keys later (expect), or
  // among the next few (expect_next).
  [[gnu::always_inline]] void expect(uint64_t hash) const { index_.prefetch_slot(hash); }
  [[gnu::always_inline]] void expect_next(uint64_t hash) const { index_.prefetch_record(hash); }

  // The record's value becomes head + tail; both may point into the record's own. `stored` is used when
  // the key is touched for the first time; nullptr: unknown.
  void put(Bytes key, uint64_t hash, uint64_t revision, Bytes head, Bytes tail,
           const Known* stored);
  void erase(Bytes key, uint64_t hash, uint64_t revision, const Known* stored);

  size_t bytes() const { return bytes_; }
  size_t touched() const { return touched_.size(); }

  // ---- totals ----

  // The totals of the state beneath; known for the memtable right above the store.
  void set_start(const Totals& totals) { start_ = totals; }
  const std::optional<Totals>& start() const { return start_; }

  void add_point(uint64_t index);
  std::deque<Point>& points() { return points_; }
  const std::deque<Point>& points() const { return points_; }
  // Counts in every stored version that is known with all before it, and gives points their stored versions.
  void advance();
  size_t resolved() const { return resolved_; }
  // Of the state at a point; once its stored versions and the state beneath are known.
  std::optional<Totals> totals_at(const Point& point) const;
  // Of the state after the memtable; once every stored version and the state beneath are known.
  std::optional<Totals> totals() const;
  const Totals& added() const { return added_; }
  const Totals& resolved_stored_versions() const { return stored_versions_; }

  // The record that was touched as the `ordinal`th.
  const Record& touched_record(size_t ordinal) const { return *touched_[ordinal]; }
  void stored_version_found(size_t ordinal, bool present, const Hash128& hash);
  // A flush found the stored versions from resolved() on: their totals up to each point that had none
  // yet, and in all.
  void stored_versions_flushed(const std::vector<Totals>& at_points, const Totals& all);

  // ---- order ----

  // Adds up to `count` more touched keys to the order; true when all are in it.
  bool order_more(size_t count);
  // Walks keys in order from `first` on, or after it, while visit returns true. All must be in order.
  void walk(Bytes first, bool after, const std::function<bool(const Record&)>& visit) const;

  // Sorts the whole of an immutable memtable; a worker's job.
  void sort();
  bool is_sorted() const { return sorted_.size() == touched_.size(); }
  const std::vector<const Record*>& sorted() const { return sorted_; }

 private:
  struct Order;

  Record& insert(Bytes key, uint64_t hash, size_t capacity, const Known* stored);
  // The record in new memory, for a value of `size` bytes. The old memory is not reused.
  Record& enlarge(KeyIndex::Slot& slot, size_t size);
  void count(Record& record, bool present, uint64_t revision);

  mem::Region region_;  // of the records, and of the index
  KeyIndex index_{region_};
  std::vector<Record*> touched_;  // by ordinal
  size_t bytes_ = 0;

  std::optional<Totals> start_;
  Totals added_;            // by the records as they are
  Totals stored_versions_;  // of the first resolved_ touched keys
  size_t resolved_ = 0;
  std::deque<Point> points_;  // by index

  std::unique_ptr<Order> order_;  // of the first ordered_ touched keys
  size_t ordered_ = 0;
  std::vector<const Record*> sorted_;
};

}  // namespace bop::machine::kv

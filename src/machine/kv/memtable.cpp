#include "machine/kv/memtable.h"

#include <absl/container/btree_set.h>

#include <limits>

#include "base/assert.h"
#include "machine/kv/seeded_bugs.h"

namespace bop::machine::kv {

namespace {

// Memory for each record in the index and the list of touched keys.
constexpr size_t overhead_bytes = 32;

size_t capacity_for(size_t size) { return (size + 15) / 16 * 16; }

size_t bytes_of(const Record& record) {
  return sizeof(Record) + record.key_size + record.capacity + overhead_bytes;
}

Record* allocate(mem::Region& region, Bytes key, size_t capacity) {
  BOP_ASSERT_LE(key.size(), std::numeric_limits<uint16_t>::max());
  BOP_ASSERT_LE(capacity, std::numeric_limits<uint32_t>::max());
  auto* record = static_cast<Record*>(region.allocate(sizeof(Record) + key.size() + capacity));
  *record = {};
  record->key_size = static_cast<uint16_t>(key.size());
  record->capacity = static_cast<uint32_t>(capacity);
  std::memcpy(record->data(), key.data(), key.size());
  return record;
}

// The length of the prefix that all keys share.
size_t shared_prefix(const std::vector<Record*>& records) {
  if (records.empty()) return 0;
  const Bytes first = records.front()->key();
  size_t shared = first.size();
  for (const Record* record : records) {
    const Bytes key = record->key();
    shared = std::min(shared, key.size());
    size_t equal = 0;
    while (equal < shared && key[equal] == first[equal]) ++equal;
    shared = equal;
    if (shared == 0) break;
  }
  return shared;
}

}  // namespace

struct Memtable::Order {
  struct Place {
    uint64_t prefix;
    uint32_t ordinal;
  };
  struct Probe {
    uint64_t prefix;
    Bytes key;
  };

  // Compares positions by the keys of their records, which may have moved.
  struct InOrder {
    using is_transparent = void;
    const std::vector<Record*>* touched;

    Bytes key(const Place& place) const { return (*touched)[place.ordinal]->key(); }
    bool operator()(const Place& a, const Place& b) const {
      if (a.prefix != b.prefix) return a.prefix < b.prefix;
      return compare_keys(key(a), key(b)) < 0;
    }
    bool operator()(const Place& a, const Probe& b) const {
      if (a.prefix != b.prefix) return a.prefix < b.prefix;
      return compare_keys(key(a), b.key) < 0;
    }
    bool operator()(const Probe& a, const Place& b) const {
      if (a.prefix != b.prefix) return a.prefix < b.prefix;
      return compare_keys(a.key, key(b)) < 0;
    }
  };

  explicit Order(const std::vector<Record*>& touched) : places(InOrder{&touched}) {}
  absl::btree_set<Place, InOrder> places;
};

Memtable::Memtable() = default;
Memtable::~Memtable() = default;

const Record* Memtable::find(Bytes key, uint64_t hash) const {
  const KeyIndex::Slot* slot = index_.find(key, hash);
  return slot == nullptr ? nullptr : slot->record;
}

// ---- changes ----

Record& Memtable::insert(Bytes key, uint64_t hash, size_t capacity, const Known* stored) {
  Record* record = allocate(region_, key, capacity);
  record->ordinal = static_cast<uint32_t>(touched_.size());
  if (stored != nullptr) {
    record->stored_version = stored->present ? StoredVersion::present : StoredVersion::absent;
    if (stored->present) record->stored_hash = stored->hash;
  }
  index_.insert(hash, record);
  touched_.push_back(record);
  bytes_ += bytes_of(*record);
  return *record;
}

Record& Memtable::enlarge(KeyIndex::Slot& slot, size_t size) {
  const Record& old = *slot.record;
  // A value that grows is likely to grow again.
  const size_t capacity = capacity_for(size + size / 2);
  Record* record = allocate(region_, old.key(), capacity);
  const uint32_t grown_capacity = record->capacity;
  *record = old;
  record->capacity = grown_capacity;
  bytes_ += bytes_of(*record);
  slot.record = record;
  touched_[record->ordinal] = record;
  return *record;
}

void Memtable::count(Record& record, bool present, uint64_t revision) {
  if (!(seeded(Bug::hash_forgets_delete) && !present)) added_ -= record.adds();
  record.present = present;
  record.revision = revision;
  record.hash = present ? record_hash(record.key(), revision, record.value()) : Hash128{};
  added_ += record.adds();
}

void Memtable::put(Bytes key, uint64_t hash, uint64_t revision, Bytes head, Bytes tail,
                   const Known* stored) {
  const size_t size = head.size() + tail.size();
  KeyIndex::Slot* slot = index_.find(key, hash);
  Record& record = slot == nullptr                 ? insert(key, hash, capacity_for(size), stored)
                   : slot->record->capacity < size ? enlarge(*slot, size)
                                                   : *slot->record;
  uint8_t* value = record.data() + record.key_size;
  if (!head.empty()) std::memmove(value, head.data(), head.size());
  if (!tail.empty()) std::memcpy(value + head.size(), tail.data(), tail.size());
  record.value_size = static_cast<uint32_t>(size);
  count(record, true, revision);
}

void Memtable::erase(Bytes key, uint64_t hash, uint64_t revision, const Known* stored) {
  KeyIndex::Slot* slot = index_.find(key, hash);
  if (slot == nullptr && stored != nullptr && !stored->present) return;
  Record& record = slot == nullptr ? insert(key, hash, 0, stored) : *slot->record;
  record.value_size = 0;
  count(record, false, revision);
}

// ---- totals ----

void Memtable::add_point(uint64_t index) {
  if (!points_.empty() && points_.back().index == index) return;
  BOP_ASSERT(points_.empty() || points_.back().index < index);
  Point point;
  point.index = index;
  point.touched = touched_.size();
  point.added = added_;
  points_.push_back(std::move(point));
}

void Memtable::advance() {
  auto point = std::find_if(points_.begin(), points_.end(),
                            [](const Point& each) { return !each.stored_versions; });
  for (;; ++resolved_) {
    for (; point != points_.end() && point->touched == resolved_; ++point)
      point->stored_versions = stored_versions_;
    if (resolved_ == touched_.size() ||
        touched_[resolved_]->stored_version == StoredVersion::unknown)
      return;
    stored_versions_ += touched_[resolved_]->stored_adds();
  }
}

std::optional<Totals> Memtable::totals_at(const Point& point) const {
  if (!start_ || !point.stored_versions) return {};
  return *start_ + point.added - *point.stored_versions;
}

std::optional<Totals> Memtable::totals() const {
  if (!start_ || resolved_ != touched_.size()) return {};
  return *start_ + added_ - stored_versions_;
}

void Memtable::stored_version_found(size_t ordinal, bool present, const Hash128& hash) {
  Record& record = *touched_[ordinal];
  if (record.stored_version != StoredVersion::unknown) return;
  record.stored_version = present ? StoredVersion::present : StoredVersion::absent;
  if (present) record.stored_hash = hash;
}

void Memtable::stored_versions_flushed(const std::vector<Totals>& at_points, const Totals& all) {
  BOP_ASSERT_EQ(at_points.size(), points_.size());
  for (size_t i = 0; i < points_.size(); ++i)
    if (!points_[i].stored_versions) points_[i].stored_versions = at_points[i];
  stored_versions_ = all;
  resolved_ = touched_.size();
}

// ---- order ----

bool Memtable::order_more(size_t count) {
  if (order_ == nullptr) order_ = std::make_unique<Order>(touched_);
  for (; count > 0 && ordered_ < touched_.size(); --count, ++ordered_)
    order_->places.insert({key_prefix(touched_[ordered_]->key()), static_cast<uint32_t>(ordered_)});
  return ordered_ == touched_.size();
}

void Memtable::walk(Bytes first, bool after,
                    const std::function<bool(const Record&)>& visit) const {
  BOP_ASSERT(order_ != nullptr && ordered_ == touched_.size());
  const Order::Probe probe{key_prefix(first), first};
  auto at = after ? order_->places.upper_bound(probe) : order_->places.lower_bound(probe);
  while (at != order_->places.end() && visit(*touched_[at->ordinal])) ++at;
}

void Memtable::sort() {
  struct Item {
    uint64_t prefix;
    const Record* record;
  };
  const size_t shared = shared_prefix(touched_);
  std::vector<Item> items;
  items.reserve(touched_.size());
  for (const Record* record : touched_)
    items.push_back({key_prefix(record->key(), shared), record});
  std::sort(items.begin(), items.end(), [](const Item& a, const Item& b) {
    if (a.prefix != b.prefix) return a.prefix < b.prefix;
    return compare_keys(a.record->key(), b.record->key()) < 0;
  });
  sorted_.reserve(items.size());
  for (const Item& item : items) sorted_.push_back(item.record);
}

}  // namespace bop::machine::kv

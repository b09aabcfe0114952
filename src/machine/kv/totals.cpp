// Totals: the state hash, the number of records, and the stored versions that they need.
//
// Stored versions are looked up when a hash or a count is requested. A flush finds the remaining ones at
// little cost, because it visits their pages anyway. So a request under load gets the hash of a hash interval.
#include <algorithm>
#include <numeric>
#include <utility>

#include "base/assert.h"
#include "machine/kv/seeded_bugs.h"
#include "machine/kv/tasks.h"

namespace bop::machine::kv {

namespace {

constexpr size_t max_stored_versions_a_read = 512;
constexpr size_t max_hashes = 16;
// How many stored versions a request for the hash may look up while entries are still applied.
constexpr size_t stored_versions_under_load = 8192;

}  // namespace

int32_t Kv::state_hash(bop_state_hash& hash) {
  if (check_ != nullptr || restore_ != nullptr || broken_) return BOP_E_NOT_FOUND;
  advance_totals();
  if (const auto totals = active_->totals()) {
    note_hash(applied_.index, *totals);
  } else if (!broken_) {
    active_->add_point(applied_.index);
    const bool idle = std::exchange(hash_asked_at_, applied_.index) == applied_.index;
    want_stored_versions(idle ? active_->touched()
                              : active_->resolved() + stored_versions_under_load);
  }
  if (recent_hashes_.empty()) return BOP_E_NOT_FOUND;
  hash = recent_hashes_.back();
  return BOP_OK;
}

// ---- points ----

void Kv::advance_totals() {
  if (immutable_ != nullptr) {
    if (flush_stage_ != FlushStage::flushing) immutable_->advance();
    note_points(*immutable_);
    if (const auto totals = immutable_->totals()) active_->set_start(*totals);
  }
  active_->advance();
  note_points(*active_);
}

void Kv::note_points(Memtable& memtable) {
  std::deque<Point>& points = memtable.points();
  for (Point& point : points) {
    const auto totals = memtable.totals_at(point);
    if (!totals) break;
    note_hash(point.index, *totals);
    for (const uint64_t token : point.waiting)
      counted_.push_back({token, point.index, totals->records});
    point.waiting.clear();
  }
  // The flush of an immutable memtable counts by its points, so they are kept.
  if (&memtable != active_.get()) return;
  while (!points.empty() && memtable.totals_at(points.front())) points.pop_front();
  while (points.size() > max_hashes) {
    const auto unwaited = std::find_if(points.begin(), points.end(),
                                       [](const Point& point) { return point.waiting.empty(); });
    if (unwaited == points.end()) break;
    points.erase(unwaited);
  }
}

void Kv::note_hash(uint64_t index, const Totals& totals) {
  if (index == 0) return;
  const auto at = std::lower_bound(
      recent_hashes_.begin(), recent_hashes_.end(), index,
      [](const bop_state_hash& hash, uint64_t wanted) { return hash.index < wanted; });
  if (at != recent_hashes_.end() && at->index == index) {
    BOP_ASSERT(at->low == totals.low + totals.records && at->high == totals.high);
    return;
  }
  recent_hashes_.insert(at, {index, totals.low + totals.records, totals.high});
  if (recent_hashes_.size() > max_hashes) recent_hashes_.pop_front();
}

// ---- stored versions ----

void Kv::want_stored_versions(size_t count) {
  stored_versions_wanted_ = std::max(stored_versions_wanted_, std::min(count, active_->touched()));
  read_stored_versions();
}

void Kv::read_stored_versions() {
  if (reading_stored_versions_ || broken_) return;
  stored_version_reads_->clear();
  for (size_t ordinal = active_->resolved();
       ordinal < stored_versions_wanted_ &&
       stored_version_reads_->asks.size() < max_stored_versions_a_read;
       ++ordinal) {
    const Record& record = active_->touched_record(ordinal);
    if (record.stored_version == StoredVersion::unknown) stored_version_reads_->add(record);
  }
  if (stored_version_reads_->asks.empty()) return;
  stored_version_reads_->target = active_;
  stored_version_reads_->below = immutable_;
  reading_stored_versions_ = true;
  reads_->submit(*stored_version_reads_);
}

void Kv::stored_versions_read() {
  reading_stored_versions_ = false;
  for (const StoredVersionReads::Ask& ask : stored_version_reads_->asks)
    stored_version_reads_->target->stored_version_found(ask.ordinal, ask.present, ask.hash);
  stored_version_reads_->target.reset();
  advance_totals();
  read_stored_versions();
}

void Kv::StoredVersionReads::clear() {
  asks.clear();
  keys_.clear();
  target.reset();
}

void Kv::StoredVersionReads::add(const Record& record) {
  asks.push_back({record.ordinal, record.key_size, keys_.size(), false, {}});
  const Bytes key = record.key();
  keys_.insert(keys_.end(), key.begin(), key.end());
}

Status Kv::StoredVersionReads::work(Snapshot& snapshot) {
  const auto key_of = [this](const Ask& ask) {
    return Bytes(keys_).subspan(ask.key_at, ask.key_size);
  };
  std::vector<uint32_t> order(asks.size());
  std::iota(order.begin(), order.end(), 0u);
  std::sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) {
    return compare_keys(key_of(asks[a]), key_of(asks[b])) < 0;
  });
  for (const uint32_t i : order) {
    Ask& ask = asks[i];
    const Bytes key = key_of(ask);
    const Record* record = nullptr;
    if (below != nullptr && !seeded(Bug::stored_version_skips_immutable))
      record = below->find(key, kv_.hash_of(key));
    if (record != nullptr) {
      ask.present = record->present;
      ask.hash = record->hash;
      continue;
    }
    BOP_TRY_ASSIGN(const auto found, snapshot.get(key));
    ask.present = found.has_value();
    if (found) ask.hash = found->hash;
  }
  below.reset();  // on the worker, since freeing a memtable takes long
  return {};
}

}  // namespace bop::machine::kv

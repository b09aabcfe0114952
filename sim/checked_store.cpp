#include "sim/checked_store.h"

#include <vector>

#include "base/checksum.h"

namespace bop::sim {

namespace kv = machine::kv;

namespace {

constexpr size_t checksum_bytes = 8;

uint64_t checksum_of(Bytes key, uint64_t revision, Bytes value) {
  return kv::record_hash(key, revision, value).low;
}

std::vector<uint8_t> with_checksum(Bytes key, uint64_t revision, Bytes value) {
  std::vector<uint8_t> raw(value.begin(), value.end());
  Writer(raw).u64(checksum_of(key, revision, value));
  return raw;
}

}  // namespace

// What a flush writes, with checksums; and what it replaces, without.
class CheckedChanges final : public kv::Changes {
 public:
  CheckedChanges(Medium& medium, kv::Changes& changes) : medium_(medium), changes_(changes) {}

  bool next(kv::Change& change) override {
    if (!changes_.next(change)) return false;
    key_.assign(as_text(change.key));
    keys.push_back(key_);
    if (!change.present) return true;
    raw_ = with_checksum(change.key, change.revision, change.value);
    change.value = raw_;
    return true;
  }
  void replaced(const std::optional<kv::Stored>& record) override {
    if (!record) return changes_.replaced(record);
    const auto checked = medium_.read(as_bytes(key_), *record, scratch_);
    if (!checked) {
      medium_.flush_error_ = checked.error();
      return changes_.replaced(std::nullopt);
    }
    changes_.replaced(*checked);
  }
  void restart() override {
    keys.clear();
    changes_.restart();
  }
  kv::Progress progress() override { return changes_.progress(); }

  std::vector<std::string> keys;

 private:
  Medium& medium_;
  kv::Changes& changes_;
  std::string key_;
  std::vector<uint8_t> raw_;
  std::vector<uint8_t> scratch_;
};

class CheckedSnapshot final : public kv::Snapshot {
 public:
  CheckedSnapshot(Medium& medium, kv::Snapshot& snapshot) : medium_(medium), snapshot_(snapshot) {}

  Result<std::optional<kv::Stored>> get(Bytes key) override {
    BOP_TRY_ASSIGN(const auto raw, snapshot_.get(key));
    if (!raw) return std::nullopt;
    BOP_TRY_ASSIGN(const auto stored, medium_.read(key, *raw, scratch_));
    return stored;
  }
  Result<std::optional<kv::StoredRecord>> seek(Bytes key) override {
    BOP_TRY_ASSIGN(const auto raw, snapshot_.seek(key));
    return checked(raw);
  }
  Result<std::optional<kv::StoredRecord>> next() override {
    BOP_TRY_ASSIGN(const auto raw, snapshot_.next());
    return checked(raw);
  }

 private:
  Result<std::optional<kv::StoredRecord>> checked(const std::optional<kv::StoredRecord>& raw) {
    if (!raw) return std::nullopt;
    BOP_TRY_ASSIGN(const auto stored, medium_.read(raw->key, raw->stored, scratch_));
    return kv::StoredRecord{raw->key, stored};
  }

  Medium& medium_;
  kv::Snapshot& snapshot_;
  std::vector<uint8_t> scratch_;
};

class CheckedStore final : public kv::Store {
 public:
  CheckedStore(Medium& medium, std::unique_ptr<kv::Store> store)
      : medium_(medium), store_(std::move(store)) {}

  const kv::Progress& opened() const override { return store_->opened(); }

  Status read(const std::function<Status(kv::Snapshot&)>& work) override {
    return store_->read([&](kv::Snapshot& snapshot) {
      CheckedSnapshot checked(medium_, snapshot);
      return work(checked);
    });
  }

  Status flush(kv::Changes& changes) override {
    kv::StoreImage::Records before;
    if (medium_.loses_write_ || medium_.lost_) before = medium_.image_->committed_records();
    CheckedChanges checked(medium_, changes);
    medium_.flush_error_.reset();
    BOP_TRY(store_->flush(checked));
    for (const std::string& key : checked.keys) {
      medium_.damage_.erase(key);
      if (!medium_.lost_ || medium_.lost_->key != key) continue;
      medium_.lost_.reset();
      medium_.loses_write_ = true;
    }
    if (!medium_.loses_write_) return {};
    const kv::StoreImage::Records after = medium_.image_->committed_records();
    for (const std::string& key : checked.keys) {
      const auto older = before.find(key);
      if (older == before.end() || !after.contains(key)) continue;
      medium_.lost_ = {key, older->second, medium_.image_->committed().position.index};
      medium_.loses_write_ = false;
      break;
    }
    return {};
  }

  Status sync() override { return store_->sync(); }

 private:
  Medium& medium_;
  const std::unique_ptr<kv::Store> store_;
};

Result<std::unique_ptr<kv::Store>> Medium::open() {
  auto store = std::make_unique<CheckedStore>(*this, kv::open_memory_store(image_));
  if (!damage_.empty()) BOP_TRY(verify(*store));
  return store;
}

Status Medium::verify(kv::Store& store) {
  kv::Totals totals;
  BOP_TRY(store.read([&](kv::Snapshot& snapshot) -> Status {
    BOP_TRY_ASSIGN(auto record, snapshot.seek({}));
    while (record) {
      const kv::Stored& stored = record->stored;
      totals += kv::totals_of(true, kv::record_hash(record->key, stored.revision, stored.value));
      BOP_TRY_ASSIGN(record, snapshot.next());
    }
    return {};
  }));
  if (totals == store.opened().totals) return {};
  return damaged({}, "the records are not those of the last flush");
}

bool Medium::flip_bit(Random& random) {
  const kv::StoreImage::Records records = image_->committed_records();
  if (records.empty()) return false;
  auto record = records.begin();
  std::advance(record, static_cast<long>(random.below(records.size())));
  damage_[record->first].bit = random.below((8 + record->second.value.size()) * 8);
  return true;
}

bool Medium::end(bool power_lost) {
  if (power_lost) image_->lose_power();
  const auto lost = std::exchange(lost_, {});
  if (!lost) return false;
  if (image_->synced().position.index < lost->index) {
    loses_write_ = true;
    return false;
  }
  damage_[lost->key].older = lost->older;
  return true;
}

Result<kv::Stored> Medium::read(Bytes key, const kv::Stored& raw, std::vector<uint8_t>& scratch) {
  kv::Stored stored = raw;
  if (const auto found = damage_.find(as_text(key)); found != damage_.end()) {
    const Damage& damage = found->second;
    if (damage.older) stored = {damage.older->revision, as_bytes(damage.older->value)};
    scratch.clear();
    Writer writer(scratch);
    writer.u64(stored.revision);
    writer.bytes(stored.value);
    if (damage.bit) scratch[*damage.bit / 8 % scratch.size()] ^= 1u << (*damage.bit % 8);
    stored = {load_le<uint64_t>(scratch.data()), Bytes(scratch).subspan(8)};
  }
  if (stored.value.size() < checksum_bytes) return damaged(key, "is cut short");
  const Bytes value = stored.value.first(stored.value.size() - checksum_bytes);
  const auto checksum = load_le<uint64_t>(stored.value.data() + value.size());
  if (checksum != checksum_of(key, stored.revision, value))
    return damaged(key, "does not match its checksum");
  return kv::Stored{stored.revision, value};
}

std::unexpected<Error> Medium::damaged(Bytes key, const char* what) {
  ++detected_;
  return fail(BOP_E_DAMAGED, "simulated store: record " + std::string(as_text(key)) + ": " + what);
}

}  // namespace bop::sim

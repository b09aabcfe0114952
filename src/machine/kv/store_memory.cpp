#include "machine/kv/store_memory.h"

#include <fmt/format.h>

#include <iterator>
#include <vector>

#include "base/assert.h"
#include "machine/kv/seeded_bugs.h"

namespace bop::machine::kv {

struct StoreImage::Pin {
  using Before = std::map<std::string, std::optional<Copy>, std::less<>>;

  Progress progress;
  Before before;       // records that were changed since, as they were; nullopt: there was none
  uint64_t bytes = 0;  // of those
  bool closed = false;

  void keep(const std::string& key, const Copy* copy, uint64_t limit) {
    if (closed) return;
    const auto [place, first] =
        before.try_emplace(key, copy != nullptr ? std::optional(*copy) : std::nullopt);
    if (first) bytes += key.size() + (copy != nullptr ? copy->value.size() : 0);
    if (bytes <= limit) return;
    closed = true;
    before.clear();
  }
};

void StoreImage::go_back_to_sync() {
  for (auto& [key, copy] : undo_) {
    if (copy)
      records_[key] = std::move(*copy);
    else
      records_.erase(key);
  }
  undo_.clear();
  committed_ = synced_;
}

void StoreImage::lose_power() {
  std::lock_guard lock(mutex_);
  go_back_to_sync();
}

Progress StoreImage::committed() const {
  std::lock_guard lock(mutex_);
  return committed_;
}

Progress StoreImage::synced() const {
  std::lock_guard lock(mutex_);
  return synced_;
}

StoreImage::Records StoreImage::committed_records() const {
  std::lock_guard lock(mutex_);
  return records_;
}

bool StoreImage::rot(size_t nth, uint64_t bit) {
  std::lock_guard lock(mutex_);
  if (nth >= records_.size()) return false;
  Copy& copy = std::next(records_.begin(), static_cast<ptrdiff_t>(nth))->second;
  bit %= 64 + copy.value.size() * 8;
  if (bit < 64)
    copy.revision ^= uint64_t{1} << bit;
  else
    copy.value[bit / 8 - 8] ^= static_cast<char>(1 << bit % 8);
  return true;
}

bool StoreImage::replace(const std::string& key, const Copy& copy) {
  std::lock_guard lock(mutex_);
  const auto found = records_.find(key);
  if (found == records_.end()) return false;
  found->second = copy;
  return true;
}

bool StoreImage::lose(size_t nth) {
  std::lock_guard lock(mutex_);
  if (nth >= records_.size()) return false;
  records_.erase(std::next(records_.begin(), static_cast<ptrdiff_t>(nth)));
  return true;
}

class MemoryStore final : public Store {
 public:
  explicit MemoryStore(std::shared_ptr<StoreImage> image) : image_(std::move(image)) {
    image_->lose_power();
    opened_ = image_->synced();
  }
  ~MemoryStore() override { BOP_ASSERT(image_->pins_.empty()); }

  const Progress& opened() const override { return opened_; }

  Result<std::unique_ptr<StoreCheck>> begin_check() override {
    return std::make_unique<WholeCheck>(*this);
  }

  Result<Slice> scrub(Bytes from, uint64_t max_bytes) override {
    std::lock_guard lock(image_->mutex_);
    Slice slice;
    MapSnapshot snapshot(*image_);
    BOP_TRY_ASSIGN(auto record, snapshot.seek(from));
    while (record && slice.bytes < max_bytes) {
      slice.totals += totals_of(true, record->stored.hash);
      slice.bytes += record->key.size() + record->stored.value.size();
      BOP_TRY_ASSIGN(record, snapshot.next());
    }
    if (record) slice.next.assign(record->key.begin(), record->key.end());
    return slice;
  }

  Status read(const std::function<Status(Snapshot&)>& work) override {
    std::lock_guard lock(image_->mutex_);
    MapSnapshot snapshot(*image_);
    return work(snapshot);
  }

  Status flush(Changes& changes) override {
    BOP_TRY(step(StoreImage::Step::begin_flush));
    std::vector<Staged> staged;
    Change change;
    while (changes.next(change)) {
      BOP_TRY(step(StoreImage::Step::change));
      if (change.want_replaced) BOP_TRY(tell_replaced(change, changes));
      Staged one{std::string(as_text(change.key)), {}};
      if (change.present)
        one.copy =
            StoreImage::Copy{change.revision, change.hash, std::string(as_text(change.value))};
      staged.push_back(std::move(one));
    }
    const Progress progress = changes.progress();
    BOP_TRY(step(StoreImage::Step::commit));
    commit(staged, progress);
    return {};
  }

  Status sync() override {
    const Progress before = image_->committed();
    BOP_TRY(step(StoreImage::Step::begin_sync));
    {
      std::lock_guard lock(image_->mutex_);
      image_->synced_ = before;
      image_->undo_.clear();
    }
    return step(StoreImage::Step::end_sync);
  }

  Result<std::unique_ptr<PinnedState>> pin() override {
    std::lock_guard lock(image_->mutex_);
    auto pinned = std::make_unique<Pinned>(*image_);
    pinned->pin.progress = image_->committed_;
    image_->pins_.push_back(&pinned->pin);
    return pinned;
  }
  Status check_space(uint64_t) override { return {}; }

 private:
  using Records = StoreImage::Records;

  struct Staged {
    std::string key;
    std::optional<StoreImage::Copy> copy;
  };

  static Result<Stored> verified(StoreImage& image, const std::string& key,
                                 const StoreImage::Copy& copy) {
    const Bytes value = as_bytes(copy.value);
    const Stored stored{copy.revision, record_hash(as_bytes(key), copy.revision, value), value};
    if (stored.hash == copy.hash || seeded(Bug::checksum_not_verified)) return stored;
    ++image.damage_found_;
    return fail(BOP_E_DAMAGED, "the record with key hash " + hex(hash64(as_bytes(key))) +
                                   " does not match its checksum");
  }

  class WholeCheck final : public StoreCheck {
   public:
    explicit WholeCheck(MemoryStore& store) : store_(store) {}
    Result<bool> step() override {
      BOP_TRY_ASSIGN(const Slice all, store_.scrub({}, UINT64_MAX));
      bytes_ = all.bytes;
      if (all.totals == store_.opened_.totals || seeded(Bug::totals_not_compared)) return true;
      ++store_.image_->damage_found_;
      return fail(BOP_E_DAMAGED, "its records are not those that it recorded");
    }
    uint64_t done_bytes() const override { return bytes_; }
    uint64_t total_bytes() const override { return bytes_; }

   private:
    MemoryStore& store_;
    uint64_t bytes_ = 0;
  };

  class MapSnapshot final : public Snapshot {
   public:
    explicit MapSnapshot(StoreImage& image)
        : image_(image), records_(image.records_), at_(records_.end()) {}
    Result<std::optional<Stored>> get(Bytes key) override {
      const auto found = records_.find(as_text(key));
      if (found == records_.end()) return std::nullopt;
      BOP_TRY_ASSIGN(const Stored stored, verified(image_, found->first, found->second));
      return stored;
    }
    Result<std::optional<StoredRecord>> seek(Bytes key) override {
      at_ = records_.lower_bound(as_text(key));
      return current();
    }
    Result<std::optional<StoredRecord>> next() override {
      if (at_ != records_.end()) ++at_;
      return current();
    }

   private:
    Result<std::optional<StoredRecord>> current() {
      if (at_ == records_.end()) return std::nullopt;
      BOP_TRY_ASSIGN(const Stored stored, verified(image_, at_->first, at_->second));
      return StoredRecord{as_bytes(at_->first), stored};
    }
    StoreImage& image_;
    const Records& records_;
    Records::const_iterator at_;
  };

  // The records as they were, by their order: those that were changed since hide the present ones.
  class PinnedSnapshot final : public Snapshot {
   public:
    PinnedSnapshot(StoreImage& image, const StoreImage::Pin::Before& before)
        : image_(image),
          records_(image.records_),
          before_(before),
          at_(records_.end()),
          earlier_(before.end()) {}

    Result<std::optional<Stored>> get(Bytes key) override {
      BOP_TRY_ASSIGN(const auto found, seek(key));
      if (!found || as_text(found->key) != as_text(key)) return std::nullopt;
      return found->stored;
    }
    Result<std::optional<StoredRecord>> seek(Bytes key) override {
      at_ = records_.lower_bound(as_text(key));
      earlier_ = before_.lower_bound(as_text(key));
      return current();
    }
    Result<std::optional<StoredRecord>> next() override {
      step();
      return current();
    }

   private:
    bool is_earlier() const {
      return earlier_ != before_.end() && (at_ == records_.end() || earlier_->first <= at_->first);
    }
    void step() {
      const bool earlier = is_earlier();
      const bool both = earlier && at_ != records_.end() && at_->first == earlier_->first;
      if (earlier) ++earlier_;
      if (at_ != records_.end() && (!earlier || both)) ++at_;
    }
    Result<std::optional<StoredRecord>> current() {
      while (is_earlier() && !earlier_->second) step();  // there was none
      const bool earlier = is_earlier();
      if (!earlier && at_ == records_.end()) return std::nullopt;
      const std::string& key = earlier ? earlier_->first : at_->first;
      BOP_TRY_ASSIGN(const Stored stored,
                     verified(image_, key, earlier ? *earlier_->second : at_->second));
      return StoredRecord{as_bytes(key), stored};
    }

    StoreImage& image_;
    const Records& records_;
    const StoreImage::Pin::Before& before_;
    Records::const_iterator at_;
    StoreImage::Pin::Before::const_iterator earlier_;
  };

  class Pinned final : public PinnedState {
   public:
    explicit Pinned(StoreImage& image) : image_(image) {}
    ~Pinned() override {
      std::lock_guard lock(image_.mutex_);
      std::erase(image_.pins_, &pin);
    }
    const Progress& progress() const override { return pin.progress; }
    Status read(const std::function<Status(Snapshot&)>& work) override {
      std::lock_guard lock(image_.mutex_);
      if (pin.closed)
        return fail(BOP_E_OVERLOADED,
                    fmt::format("the store kept more than {} bytes of replaced records for it",
                                image_.max_pinned_bytes));
      if (seeded(Bug::snapshot_reads_live_state)) {
        MapSnapshot live(image_);
        pin.progress = image_.committed_;
        return work(live);
      }
      PinnedSnapshot snapshot(image_, pin.before);
      return work(snapshot);
    }

    StoreImage::Pin pin;

   private:
    StoreImage& image_;
  };

  Status step(StoreImage::Step step) { return image_->on_step ? image_->on_step(step) : Status{}; }

  Status tell_replaced(const Change& change, Changes& changes) {
    std::lock_guard lock(image_->mutex_);
    const auto found = image_->records_.find(as_text(change.key));
    if (found == image_->records_.end()) {
      changes.replaced(std::nullopt);
      return {};
    }
    BOP_TRY_ASSIGN(const Stored stored, verified(*image_, found->first, found->second));
    changes.replaced(stored);
    return {};
  }

  void commit(std::vector<Staged>& staged, const Progress& progress) {
    std::lock_guard lock(image_->mutex_);
    for (Staged& one : staged) {
      const auto found = image_->records_.find(one.key);
      const bool present = found != image_->records_.end();
      for (StoreImage::Pin* pin : image_->pins_)
        pin->keep(one.key, present ? &found->second : nullptr, image_->max_pinned_bytes);
      image_->undo_.try_emplace(
          one.key, present ? std::optional<StoreImage::Copy>(found->second) : std::nullopt);
      if (one.copy)
        image_->records_[one.key] = std::move(*one.copy);
      else if (present)
        image_->records_.erase(found);
    }
    image_->committed_ = progress;
  }

  const std::shared_ptr<StoreImage> image_;
  Progress opened_;
};

std::unique_ptr<Store> open_memory_store(std::shared_ptr<StoreImage> image) {
  return std::make_unique<MemoryStore>(std::move(image));
}

StoreFactory make_volatile_stores() {
  return [](const StoreOptions&) -> Result<std::unique_ptr<Store>> {
    return open_memory_store(std::make_shared<StoreImage>());
  };
}

}  // namespace bop::machine::kv

#include "machine/kv/store_memory.h"

#include <vector>

namespace bop::machine::kv {

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

class MemoryStore final : public Store {
 public:
  explicit MemoryStore(std::shared_ptr<StoreImage> image) : image_(std::move(image)) {
    image_->lose_power();
    opened_ = image_->synced();
  }

  const Progress& opened() const override { return opened_; }

  Status read(const std::function<Status(Snapshot&)>& work) override {
    std::lock_guard lock(image_->mutex_);
    MapSnapshot snapshot(image_->records_);
    return work(snapshot);
  }

  Status flush(Changes& changes) override {
    BOP_TRY(step(StoreImage::Step::begin_flush));
    std::vector<Staged> staged;
    Change change;
    while (changes.next(change)) {
      BOP_TRY(step(StoreImage::Step::change));
      if (change.want_replaced) tell_replaced(change, changes);
      Staged one{std::string(as_text(change.key)), {}};
      if (change.present)
        one.copy = StoreImage::Copy{change.revision, std::string(as_text(change.value))};
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

 private:
  using Records = StoreImage::Records;

  struct Staged {
    std::string key;
    std::optional<StoreImage::Copy> copy;
  };

  class MapSnapshot final : public Snapshot {
   public:
    explicit MapSnapshot(const Records& records) : records_(records), at_(records.end()) {}
    Result<std::optional<Stored>> get(Bytes key) override {
      const auto found = records_.find(as_text(key));
      if (found == records_.end()) return std::nullopt;
      return stored(found->second);
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
    static Stored stored(const StoreImage::Copy& copy) {
      return {copy.revision, as_bytes(copy.value)};
    }
    Result<std::optional<StoredRecord>> current() const {
      if (at_ == records_.end()) return std::nullopt;
      return StoredRecord{as_bytes(at_->first), stored(at_->second)};
    }
    const Records& records_;
    Records::const_iterator at_;
  };

  Status step(StoreImage::Step step) { return image_->on_step ? image_->on_step(step) : Status{}; }

  void tell_replaced(const Change& change, Changes& changes) {
    std::lock_guard lock(image_->mutex_);
    const auto found = image_->records_.find(as_text(change.key));
    if (found == image_->records_.end()) return changes.replaced(std::nullopt);
    changes.replaced(Stored{found->second.revision, as_bytes(found->second.value)});
  }

  void commit(std::vector<Staged>& staged, const Progress& progress) {
    std::lock_guard lock(image_->mutex_);
    for (Staged& one : staged) {
      const auto found = image_->records_.find(one.key);
      const bool present = found != image_->records_.end();
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

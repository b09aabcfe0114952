// The records that a batch needs and no memtable has. They are read from the store together, each key once.
#pragma once

#include <vector>

#include "base/assert.h"
#include "machine/kv/answer.h"
#include "machine/kv/memtable.h"
#include "machine/kv/reads.h"

namespace bop::machine::kv {

class RecordReads {
 public:
  void clear() {
    items_.clear();
    empty(values_);
    read_ = 0;
  }
  // Adds a key and returns the index of its record. Adjacent equal keys share one.
  uint32_t add(Bytes key) {
    if (items_.size() > read_ && equal_keys(items_.back().key, key)) return last();
    items_.push_back({key, false, 0, 0, 0, {}});
    return last();
  }
  // Reads the keys that were added since the last call. Called on the worker.
  Status read(Snapshot& snapshot) {
    for (; read_ < items_.size(); ++read_) {
      Item& item = items_[read_];
      BOP_TRY_ASSIGN(const auto found, snapshot.get(item.key));
      if (!found) continue;
      item.present = true;
      item.revision = found->revision;
      item.at = values_.size();
      item.size = found->value.size();
      item.hash = found->hash;
      values_.insert(values_.end(), found->value.begin(), found->value.end());
    }
    return {};
  }
  Known known(uint32_t index) const {
    BOP_ASSERT_LT(index, read_);
    const Item& item = items_[index];
    return {item.present, item.revision, Bytes(values_).subspan(item.at, item.size), item.hash};
  }

 private:
  struct Item {
    Bytes key;
    bool present;
    uint64_t revision;
    size_t at, size;  // of its value, in values_
    Hash128 hash;     // record_hash(); valid when present
  };
  uint32_t last() const { return static_cast<uint32_t>(items_.size() - 1); }

  std::vector<Item> items_;
  std::vector<uint8_t> values_;
  size_t read_ = 0;  // number of items that were looked up
};

}  // namespace bop::machine::kv

// What a worker does with an immutable memtable.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "machine/kv/kv.h"

namespace bop::machine::kv {

// A memtable as its flush hands it to the store, in order; finds the stored versions that nobody looked for yet.
class MemtableChanges final : public Changes {
 public:
  // On the shard's thread, after which the memtable does not change until the flush is done.
  MemtableChanges(const Memtable& memtable, const bop_position& position);

  bool next(Change& change) override;
  void replaced(const std::optional<Stored>& record) override;
  void restart() override;
  Progress progress() override;

  // Of all touched keys, and of those that were touched before each of the memtable's points that has
  // no stored versions yet.
  Totals stored_versions() const;
  std::vector<Totals> stored_versions_at_points() const;

 private:
  void count_stored_version(const Record& record, const Totals& adds);

  const Memtable& memtable_;
  const bop_position position_;
  const Totals start_;
  const size_t resolved_;
  std::vector<size_t> marks_;    // touched keys at each point, ascending
  std::vector<Totals> buckets_;  // stored versions of keys between two marks, and after the last
  size_t next_ = 0;
  const Record* current_ = nullptr;
};

// A job on the queue of long writes.
struct Kv::MemtableJob {
  Kv* kv = nullptr;
  std::shared_ptr<Memtable> memtable;
  std::unique_ptr<MemtableChanges> changes;
  std::function<Status(MemtableJob&)> work;
  std::function<void(MemtableJob&)> done;
  Status status;
};

}  // namespace bop::machine::kv

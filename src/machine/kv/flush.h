// A worker's jobs, most of them with an immutable memtable.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "machine/kv/kv.h"

namespace bop::machine::kv {

// The records of a memtable as changes for the store, in order. During the flush it also finds the stored
// versions that are still unknown.
class MemtableChanges final : public Changes {
 public:
  // On the shard's thread. The memtable must not change until the flush is done.
  MemtableChanges(const Memtable& memtable, const bop_position& position, const ScrubPass& pass);

  bool next(Change& change) override;
  void replaced(const std::optional<Stored>& record) override;
  void restart() override;
  Progress progress() override;

  // The totals of the stored versions of all touched keys; and, for each of the memtable's points, of the
  // keys that were touched before it.
  Totals stored_versions() const;
  std::vector<Totals> stored_versions_at_points() const;
  // How the changes alter the totals of the records that the scrub's pass has behind it.
  const Totals& scrubbed() const { return scrubbed_; }

 private:
  void count_stored_version(const Record& record, const Totals& adds);

  const Memtable& memtable_;
  const bop_position position_;
  const ScrubPass& pass_;  // the worker's
  const Totals start_;
  const size_t resolved_;
  std::vector<size_t> marks_;  // number of touched keys at each point, ascending
  std::vector<Totals>
      buckets_;  // stored versions of the keys between two marks, and after the last
  size_t next_ = 0;
  const Record* current_ = nullptr;
  bool in_pass_ = false;  // current_ is among those records
  Totals scrubbed_;
};

// An error in `status` condemns the store, unless it says that a flush found no space.
struct Kv::Job {
  Kv* kv = nullptr;
  std::shared_ptr<Memtable> memtable;
  std::unique_ptr<MemtableChanges> changes;
  std::function<Status(Job&)> work;
  std::function<void(Job&)> done;
  Status status;
};

}  // namespace bop::machine::kv

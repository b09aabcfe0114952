// What kv asks its store, one class a kind.
#pragma once

#include <string>
#include <vector>

#include "machine/kv/kv.h"
#include "machine/kv/record_reads.h"

namespace bop::machine::kv {

// The records that the batch must know.
class Kv::BatchReads final : public Task {
 public:
  explicit BatchReads(Kv& kv) : kv_(kv) {}
  Status work(Snapshot& snapshot) override { return records.read(snapshot); }
  void done() override { kv_.batch_.reading = false; }

  RecordReads records;

 private:
  Kv& kv_;
};

// The records beneath keys that a memtable changed without knowing them.
class Kv::StoredVersionReads final : public Task {
 public:
  explicit StoredVersionReads(Kv& kv) : kv_(kv) {}
  Status work(Snapshot& snapshot) override;
  void done() override { kv_.stored_versions_read(); }

  void clear();
  void add(const Record& record);

  struct Ask {
    uint32_t ordinal;
    uint16_t key_size;
    size_t key_at;
    bool present;
    Hash128 hash;
  };
  std::vector<Ask> asks;
  std::shared_ptr<Memtable> target;
  std::shared_ptr<Memtable> below;  // the immutable memtable, or none

 private:
  Kv& kv_;
  std::vector<uint8_t> keys_;  // a record may move meanwhile
};

// A question that waits for the store.
class Kv::Query : public Task {
 public:
  Query(Kv& kv, uint64_t token) : kv_(kv), token_(token), index_(kv.applied_.index) {}
  uint64_t token() const { return token_; }
  size_t slot = 0;

 protected:
  Kv& kv_;
  const uint64_t token_;
  uint64_t index_;  // of the state it is answered from
};

class Kv::GetQuery final : public Query {
 public:
  using Query::Query;
  Status work(Snapshot& snapshot) override;
  void done() override;

  // The answer, but for the keys that are not in the memtables.
  struct Missing {
    Bytes key;
    size_t at;  // in `known`
  };
  std::vector<uint8_t> known;
  std::vector<Missing> missing;
  bool keys_only = false;

 private:
  std::vector<uint8_t> body_;
  bop_status status_ = BOP_OK;
};

// Rounds of: collect what the active memtable has, on the shard's thread and a bounded number of
// records at a time; then merge it with the immutable memtable and the store, on the worker. When one round
// may not do, applying waits from its beginning to the end of the last, so that the answer is of one state.
class Kv::RangeQuery final : public Query {
 public:
  RangeQuery(Kv& kv, uint64_t token, const Question& question);
  Status work(Snapshot& snapshot) override;
  void done() override;

  void collect();
  void only_order() { ordering_ = true; }

 private:
  struct Part {  // of the active memtable
    size_t key_at, value_at;
    uint32_t value_size;
    uint16_t key_size;
    bool present;
    uint64_t revision;
  };
  struct Candidate {
    Bytes key;
    bool present;
    uint64_t revision;
    Bytes value;
  };

  bool in_range(Bytes key) const;
  bool cut_before(Bytes key) const;
  Bytes key_of(const Part& part) const { return Bytes(bytes_).subspan(part.key_at, part.key_size); }
  bool copy(const Record& record);
  bool emit(const Candidate& candidate);
  void finish();

  const bool keys_only_;
  const bool prefix_;
  const uint32_t limit_;
  const Bytes first_;
  const Bytes end_;

  std::vector<uint8_t> from_;  // where this round begins
  bool after_;

  bool ordering_ = false;  // waits for the active memtable's order, reads nothing
  std::shared_ptr<Memtable> immutable_;
  std::vector<Part> parts_;
  std::vector<uint8_t> bytes_;  // of the parts
  size_t live_ = 0;             // of the parts
  bool cut_ = false;            // the active memtable has more, beyond the last part

  std::vector<uint8_t> body_;
  uint32_t count_ = 0;
  bool more_ = false;
  bool full_ = false;  // the limit or the size ended it
  bool holding_ = false;
};

}  // namespace bop::machine::kv

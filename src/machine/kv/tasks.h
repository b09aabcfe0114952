// The reads of the store that kv submits to a worker, one class for each kind.
#pragma once

#include <string>
#include <vector>

#include "machine/kv/kv.h"
#include "machine/kv/record_reads.h"

namespace bop::machine::kv {

// The records that a batch needs.
class Kv::BatchReads final : public Task {
 public:
  explicit BatchReads(Kv& kv) : kv_(kv) {}
  Status work(Snapshot& snapshot) override { return records.read(snapshot); }
  void done() override { kv_.batch_.reading = false; }

  RecordReads records;

 private:
  Kv& kv_;
};

// The stored versions of keys that a memtable changed without looking them up.
class Kv::StoredVersionReads final : public Task {
 public:
  explicit StoredVersionReads(Kv& kv) : kv_(kv) {}
  Status work(Snapshot& snapshot) override;
  void done() override { kv_.stored_versions_read(); }

  void clear();
  void add(const Record& record);

  struct Ask {
    uint32_t ordinal;   // of the key in `target`
    uint16_t key_size;  // bytes
    size_t key_at;      // offset of the key in keys_
    bool present;       // result: whether there is a stored version ...
    Hash128 hash;       // ... and its hash
  };
  std::vector<Ask> asks;
  std::shared_ptr<Memtable> target;  // the memtable whose records lack stored versions
  std::shared_ptr<Memtable> below;   // the immutable memtable, which is looked up first; or null

 private:
  Kv& kv_;
  std::vector<uint8_t> keys_;  // copies, because a record may move while the worker reads
};

// A query that waits for the store.
class Kv::Query : public Task {
 public:
  Query(Kv& kv, uint64_t token) : kv_(kv), token_(token), index_(kv.applied_.index) {}
  uint64_t token() const { return token_; }
  // Begins, or goes on, with what had to wait.
  virtual void start() = 0;
  // Whether it has to wait; see Kv::waiting_.
  virtual bool waits() const = 0;
  size_t slot = 0;  // in Kv::queries_

 protected:
  Kv& kv_;
  const uint64_t token_;
  uint64_t index_;  // of the last entry in the state that the reply shows
};

class Kv::GetQuery final : public Query {
 public:
  GetQuery(Kv& kv, uint64_t token, const Question& question)
      : Query(kv, token), keys(question.keys), keys_only(question.has(BOP_KV_KEYS_ONLY)) {}
  void start() override;
  bool waits() const override { return kv_.copied_bytes_ >= max_copied_bytes; }
  Status work(Snapshot& snapshot) override;
  void done() override;
  size_t result_bytes() const override { return body_.size(); }

  const std::vector<Bytes> keys;
  const bool keys_only;
  std::vector<uint8_t> known;    // the encoded reply without the keys that no memtable has
  std::vector<Missing> missing;  // those keys, by increasing `at`

 private:
  std::vector<uint8_t> body_;
  bop_status status_ = BOP_OK;
};

// Works in rounds. Each round collects a bounded number of records of the active memtable on the shard's
// thread, and then merges them with the immutable memtable and the store on the worker. If more than one
// round may be needed, no entry is executed until the last one, so that the reply shows a single state.
class Kv::RangeQuery final : public Query {
 public:
  RangeQuery(Kv& kv, uint64_t token, const Question& question);
  void start() override { kv_.collect_and_read(*this); }
  bool waits() const override;
  Status work(Snapshot& snapshot) override;
  void done() override;
  size_t result_bytes() const override { return body_.size(); }
  // Whether it has copies of records, which are freed when it is done.
  bool holds_copies() const { return copied_ > 0; }

  void collect();
  void only_order() { ordering_ = true; }

 private:
  // A record of the active memtable; key and value are copies in bytes_.
  struct Part {
    size_t key_at, value_at;  // offsets in bytes_
    uint32_t value_size;
    uint16_t key_size;
    bool present;  // false: deleted, which hides a record beneath
    uint64_t revision;
  };
  // The next record of the three sources, for the reply.
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
  void count_copies(size_t bytes);

  const bool keys_only_;
  const bool prefix_;
  const uint32_t limit_;
  const Bytes first_;
  const Bytes end_;

  std::vector<uint8_t> from_;  // the key at which this round begins ...
  bool after_;                 // ... or after which, if this is true

  bool ordering_ = false;  // waits for the active memtable's ordered index, and reads nothing
  std::shared_ptr<Memtable> immutable_;
  std::vector<Part> parts_;
  std::vector<uint8_t> bytes_;  // keys and values of parts_
  size_t copied_ = 0;           // its part of Kv::copied_bytes_
  size_t live_ = 0;             // number of parts that are present
  bool cut_ = false;  // the active memtable has more records in the range after the last part

  std::vector<uint8_t> body_;  // the reply so far ...
  uint32_t count_ = 0;         // ... and its number of records
  bool more_ = false;          // the range has records after the reply's last one
  bool full_ = false;          // the limit of records or of bytes is reached
  bool holding_ = false;       // is counted in Kv::holds_
};

}  // namespace bop::machine::kv

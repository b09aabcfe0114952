// The machine kv: memtables in memory over a store.
//
//     apply writes and reads ──►  active    on the shard's thread, at most one
//                      reads ──►  immutable    none or one, immutable, being flushed by a worker
//                      reads ──►  flushed     none or one: the last that was flushed; may be dropped
//                      reads ──►  store     asked by a worker only
//
// A record is looked for in that order. What the memtables do not hold, a worker reads from the store; a
// batch or a question that needs it waits meanwhile. The active memtable becomes immutable at indexes that the
// log alone decides, unless a flush is still under way. No call of the store is made on the shard's
// thread after open.
//
// Why this order is right whatever the workers' timing:
//  1. A flush changes only keys that its memtable holds. So a key looked for in the store because the
//     immutable memtable does not hold it is the same before and after that memtable's flush.
//  2. A memtable's flush begins only when every read that was asked before it was immutable is done: while
//     it was active it hid nothing from them.
//  3. A flush begins only when the log is durable on this node up to the memtable's last entry.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "bop/machine.h"
#include "machine/kv/command.h"
#include "machine/kv/memtable.h"
#include "machine/kv/reads.h"
#include "machine/kv/store.h"

namespace bop::machine::kv {

struct Settings {
  // Of all memtables at most. With random keys a flush writes nearly every page of the store, so half of
  // it costs each put twice as much flushing.
  uint64_t memory_bytes = 512 << 20;
  uint64_t hash_interval = 4096;  // the state hash is kept every `hash_interval` entries
  uint64_t freeze_log_bytes =
      256 << 20;           // entries since the last freeze, so that the log stays short
  uint64_t map_bytes = 0;  // see StoreOptions
};

class Kv final : public ReadsOwner {
 public:
  static Result<std::unique_ptr<Kv>> open(const bop_machine_host& host, const Settings& settings,
                                          const StoreFactory& make_store);
  ~Kv() override;

  // As the table's functions of the same names.
  int32_t apply(std::span<const bop_entry> entries, bop_reply* replies, uint64_t token);
  int32_t query(Bytes question, bop_reply& reply, uint64_t token);
  int32_t sync(uint64_t token);
  bop_status check(Bytes command);
  void stable(uint64_t index);
  bop_position applied() const { return applied_; }
  bop_position durable() const { return durable_; }
  int32_t state_hash(bop_state_hash& hash);

  // The last state hashes that are final, of hash intervals and others, by index.
  const std::deque<bop_state_hash>& recent_hashes() const { return recent_hashes_; }

  // ReadsOwner
  void task_done() override;
  void reads_failed(const Error& error) override { break_with(error); }

 private:
  class BatchReads;
  class StoredVersionReads;
  class Query;
  class GetQuery;
  class RangeQuery;
  struct MemtableJob;

  // ---- apply (apply.cpp) ----

  // A command of the batch: operations [first, first + count), or a status that refuses it.
  struct Command {
    bop_status status = BOP_OK;
    size_t first = 0;
    size_t count = 0;
    bool conditional = false;
    bool plain = false;  // one PUT without flags
  };
  struct Batch {
    bool open = false;  // given, and not answered within the call
    uint64_t token = 0;
    std::span<const bop_entry> entries;
    size_t next = 0;  // the first that is not executed
    std::vector<Command> commands;
    std::vector<Operation> operations;
    std::vector<uint64_t> hashes;   // of the operations' keys, for the memtables
    std::vector<uint32_t> fetched;  // by operation: its place in batch_reads_, or none
    bool reading = false;
    bool forgot = false;  // a memtable went that knew something: it may have to be fetched
    std::vector<bop_reply> replies;  // bodies are set when all are there
    std::vector<size_t> body_ends;
    std::vector<uint8_t> bodies;
  };

  void decode_batch();
  bool advance_batch();
  void point_at_bodies();
  void resume_batch();
  size_t read_missing();
  void forget_fetched(const Memtable& dropped);
  bool must_know(const Command& command, const Operation& operation) const;
  void run(size_t entry);
  void pass_hash_index(uint64_t hash_index);

  // ---- one command (execute.cpp) ----

  // What a key is within a command, as its operations go on.
  struct Working {
    Bytes key;
    uint64_t hash = 0;
    bool stored_known = false;  // `stored` is the record before the command
    Known stored_version;
    bool changed = false;
    bool present = false;
    uint64_t revision = 0;
    Bytes head;  // the value is head + tail
    std::vector<uint8_t> tail;

    size_t size() const { return head.size() + tail.size(); }
  };

  bool held(Bytes key, uint64_t hash) const;
  Known before(size_t operation) const;
  bop_status execute(const Command& command, uint64_t index);
  Working& working_of(const Command& command, size_t operation);
  bop_status execute_operation(const Operation& operation, Working& working, uint64_t index);
  bop_status answer_failed_condition(const Command& command, size_t begin);
  void commit(uint64_t index);

  // ---- queries (query.cpp) ----

  int32_t query_get(bop_reply& reply, uint64_t token);
  int32_t query_range(uint64_t token);
  int32_t query_count(bop_reply& reply, uint64_t token);
  void collect_and_read(RangeQuery& range);
  void resume_ranges();
  template <class Q>
  Q& add_query(std::unique_ptr<Q> query);
  std::unique_ptr<Query> take_query(const Query& query);
  void complete_query(uint64_t token, bop_status status, Bytes body);
  void complete_counts();

  // ---- flushing (flush.cpp) ----

  enum class FlushStage { none, sorting, waiting, flushing };

  bool freeze_is_due() const;
  bool memory_is_full() const;
  void freeze();
  void start_flush_when_due();
  void start_flush();
  void flush_again(const Error& error);
  void flushed(MemtableJob& job);
  void start_sync();
  void complete_syncs();
  void drop_flushed();
  void shed_memory();
  void submit(std::unique_ptr<MemtableJob> job);
  void job_done(MemtableJob& job);

  // ---- totals (totals.cpp) ----

  void advance_totals();
  void note_points(Memtable& memtable);
  void note_hash(uint64_t index, const Totals& totals);
  void want_stored_versions(size_t count);
  void read_stored_versions();
  void stored_versions_read();

  Kv(const bop_machine_host& host, const Settings& settings);
  Status open_store(const StoreFactory& make_store);
  uint64_t hash_of(Bytes key) const { return hash64(key, seed_); }
  void log(int32_t level, const std::string& text) const;
  void break_with(const Error& error);
  std::optional<uint64_t> any_open_token() const;

  const bop_machine_host host_;
  const Settings settings_;
  const uint64_t seed_;  // of the memtables' hash tables; decides nothing that anyone can see
  std::unique_ptr<Store> store_;
  std::unique_ptr<Reads> reads_;
  std::optional<Error> broken_;
  bool held_up_ = false;  // flushing found no space, which was said

  std::shared_ptr<Memtable> active_;
  std::shared_ptr<Memtable> immutable_;
  std::shared_ptr<Memtable> flushed_;

  bop_position applied_{0, 0};
  bop_position durable_{0, 0};
  uint64_t stable_ = 0;

  Batch batch_;
  std::unique_ptr<BatchReads> batch_reads_;
  unsigned holds_ = 0;            // ranges that need the state to stay as it is
  std::vector<Working> working_;  // the first working_count_ are in use
  size_t working_count_ = 0;

  Question question_;
  std::vector<uint8_t> answer_;
  std::vector<std::unique_ptr<Query>> queries_;  // not answered yet; by their slot
  std::vector<size_t> free_queries_;
  std::vector<RangeQuery*> waiting_ranges_;  // for the immutable memtable to be sorted
  struct Count {
    uint64_t token;
    uint64_t index;
    uint64_t records;
  };
  std::vector<Count> counted_;  // answers that are ready

  uint64_t last_hash_index_ = 0;
  uint64_t log_bytes_ = 0;  // of the entries since the last freeze
  FlushStage flush_stage_ = FlushStage::none;
  bop_position immutable_last_{0, 0};    // the last entry of the immutable memtable
  uint64_t reads_before_immutable_ = 0;  // reads that were asked before it was immutable
  bop_position flushed_position_{0, 0};  // what the store holds
  std::vector<std::unique_ptr<MemtableJob>> memtable_jobs_;
  struct Sync {
    uint64_t token;
    uint64_t index;
  };
  std::vector<Sync> syncs_;
  std::vector<Operation> checked_;  // reused

  std::unique_ptr<StoredVersionReads> stored_version_reads_;
  bool reading_stored_versions_ = false;
  size_t stored_versions_wanted_ =
      0;  // touched keys of the active memtable whose stored versions somebody waits for
  uint64_t hash_asked_at_ = 0;
  std::deque<bop_state_hash> recent_hashes_;
};

}  // namespace bop::machine::kv

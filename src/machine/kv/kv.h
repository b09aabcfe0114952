// The machine kv: an ordered map in memtables, over a store on disk.
//
//                            at most   used by
//     apply ──► active         1       the shard's thread: apply changes it
//               immutable      1       the shard's thread, and a worker that flushes it to the store
//               flushed        1       the shard's thread: a cache of the last flush, may be dropped
//               store          1       workers only
//
// A key is looked up in that order; the first one that has it has its newest state. When no memtable has it,
// a worker reads the store, and the batch or query that needs it waits. Which entry is the last one of
// a memtable depends on the log alone, unless a flush is still running. After open, the shard's thread never
// calls the store.
//
// Why lookups are correct, whatever the workers' timing:
//  1. A flush changes only keys of its memtable. A key that is read from the store because the immutable
//     memtable does not have it is the same before and after that memtable's flush.
//  2. A flush begins only when all reads are done that were submitted before its memtable became immutable:
//     those reads expect the store without the memtable's changes.
//  3. A flush begins only when this node's log is durable, and committed, up to the memtable's last entry.
//     So the store is never ahead of the log.
#pragma once

#include <array>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/time.h"
#include "bop/machine.h"
#include "machine/kv/command.h"
#include "machine/kv/memtable.h"
#include "machine/kv/reads.h"
#include "machine/kv/scrub_pass.h"
#include "machine/kv/store.h"

namespace bop::machine::kv {

struct Settings {
  // Limit of all memtables together. With random keys a flush rewrites nearly every page of the store, even
  // if it has few records: half the memory doubles the cost of flushing for each put.
  uint64_t memory_bytes = 512 << 20;
  // In entries: the state hash is recorded at every multiple of this index, so that replicas can be compared.
  uint64_t hash_interval = 4096;
  // The active memtable becomes immutable after this many bytes of log entries, even if it needs little
  // memory, because the log can only be compacted up to the last entry that was flushed and synced.
  uint64_t freeze_log_bytes = 256 << 20;
  uint64_t map_bytes = 0;         // see StoreOptions
  uint64_t max_pinned_bytes = 0;  // see StoreOptions
  // So long the worker sleeps before a flush that found no space is tried again.
  Duration pause_without_space = 200 * milliseconds;
};

class Kv final : public ReadsOwner {
 public:
  // The store is verified by jobs on a worker, and nothing is answered until they are done; see integrity().
  static Result<std::unique_ptr<Kv>> open(const bop_machine_host& host, const Settings& settings,
                                          const StoreFactory& make_store,
                                          const StoreIdentity& identity = {});
  ~Kv() override;

  // As the functions of the same names in bop_machine_table (bop/machine.h). On the shard's thread.
  int32_t apply(std::span<const bop_entry> entries, bop_reply* replies, uint64_t token);
  int32_t query(Bytes question, bop_reply& reply, uint64_t token);
  void expect_query(Bytes question);
  int32_t sync(uint64_t token);
  bop_status check(Bytes command);
  void stable(uint64_t index);
  bop_position applied() const { return applied_; }
  bop_position durable() const { return durable_; }
  int32_t state_hash(bop_state_hash& hash);
  const char* obstacle() const;
  void integrity(bop_machine_integrity& out) const;
  int32_t scrub(uint64_t max_bytes, uint64_t token);
  int32_t snapshot_begin(const bop_snapshot_options& options, uint64_t token);
  int32_t snapshot_next(uint64_t handle, bop_part& part, uint64_t token);
  void snapshot_end(uint64_t handle);
  int32_t restore_begin(const bop_restore_options& options, uint64_t token);
  int32_t restore_part(const bop_part& part, uint64_t token);
  int32_t restore_end(bop_position position, uint64_t token);
  void cancel(uint64_t token);

  // The newest state hashes that are final, by index: one for each hash interval, and those that were
  // requested.
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
  struct Job;
  struct Export;
  struct Restore;

  // ---- apply (apply.cpp) ----

  // One command of the batch: operations [first, first + count) of Batch::operations; or the status of its
  // reply, if it could not be decoded.
  struct Command {
    bop_status status = BOP_OK;
    size_t first = 0;
    size_t count = 0;
    bool conditional = false;  // an operation has a condition, so the reply may need all records
    bool plain = false;        // it is a single PUT without flags, the most frequent command
  };
  struct Batch {
    bool open = false;  // apply() returned PENDING: the batch completes by `token`
    uint64_t token = 0;
    std::span<const bop_entry> entries;  // owned by the host, valid until the batch completes
    size_t next = 0;                     // the first entry that is not executed
    std::vector<Command> commands;       // by entry
    std::vector<Operation> operations;   // of all commands, in order; they point into `entries`
    std::vector<uint64_t> hashes;        // by operation: hash_of(its key)
    std::vector<uint32_t> fetched;  // by operation: index of its record in batch_reads_, or none
    bool reading = false;           // a worker reads batch_reads_
    bool forgot = false;  // a memtable was dropped, so records that it had may have to be read now
    // By entry. Their bodies are only set when all replies are complete, because `bodies` may move until
    // then; body_ends has the end of each entry's body in it.
    std::vector<bop_reply> replies;
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

  // The state of one key during a command: each operation sees the effects of those before it, but the
  // memtable is only changed when the whole command has succeeded.
  struct Working {
    Bytes key;
    uint64_t hash = 0;          // hash_of(key)
    bool stored_known = false;  // stored_version is set
    Known stored_version;       // the record before the command
    bool changed = false;       // by the operations so far
    bool present = false;       // the key exists now; revision, head and tail are valid
    uint64_t revision = 0;      // index of the entry that last wrote it
    Bytes head;  // the value is head + tail, so that an append need not copy the old value
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
  void start_waiting();
  bool memtables_have(std::span<const Bytes> keys) const;
  const Record* find_in_memtables(Bytes key) const;
  // A key that no memtable has, and where its item belongs in the answer.
  struct Missing {
    Bytes key;
    size_t at;
  };
  bool answer_from_memtables(std::span<const Bytes> keys, bool keys_only,
                             std::vector<uint8_t>& answer, std::vector<Missing>& missing) const;
  void read_get(GetQuery& query);
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
  void flushed(Job& job);
  void start_sync();
  void complete_syncs();
  void drop_flushed();
  void shed_memory();
  void submit(std::unique_ptr<Job> job, bop_work_queue queue = BOP_WORK_WRITES);
  void job_done(Job& job);

  // ---- integrity (integrity.cpp) ----

  Status start_verification();
  void verify();
  void verified();

  // ---- snapshots (state_export.cpp) ----

  std::shared_ptr<Export> find_export(uint64_t handle) const;
  void submit_bulk(std::function<void()> work, std::function<void()> done);
  void start_exports();
  void pin_exports();
  void export_pinned(Export& each);
  void part_read(Export& each);
  void fail_export(Export& each);

  // ---- restores (state_restore.cpp) ----

  void start_restore();
  int32_t refuse_restore(const Error& error);
  void work_on_restore(std::function<Status()> work, std::function<void()> then);
  void restored(bop_position position);

  // ---- totals (totals.cpp) ----

  void advance_totals();
  void note_points(Memtable& memtable);
  void note_hash(uint64_t index, const Totals& totals);
  void want_stored_versions(size_t count);
  void read_stored_versions();
  void stored_versions_read();

  Kv(const bop_machine_host& host, const Settings& settings);
  Status open_store(const StoreFactory& make_store, const StoreIdentity& identity);
  uint64_t hash_of(Bytes key) const { return hash64(key, seed_); }
  void log(int32_t level, const std::string& text) const;
  void break_with(const Error& error);
  std::optional<uint64_t> any_open_token() const;

  const bop_machine_host host_;
  const Settings settings_;
  // Random seed of the memtables' hash tables. No reply and no state hash depends on it.
  const uint64_t seed_;
  std::unique_ptr<Store> store_;
  std::unique_ptr<Reads> reads_;  // reads of the store by a worker
  std::optional<Error> broken_;   // set when the store failed: every later call fails with it
  std::string
      held_up_;  // why the last flush found no space, which was logged; empty: it found space

  // Shared with jobs of workers. active_ is never null; the others may be.
  std::shared_ptr<Memtable> active_;
  std::shared_ptr<Memtable> immutable_;
  std::shared_ptr<Memtable> flushed_;

  // durable_ <= flushed_position_ <= applied_, by index.
  bop_position applied_{0, 0};  // the last entry executed
  bop_position durable_{0, 0};  // the last entry that is contained in the synced store
  uint64_t stable_ = 0;         // the log is committed, and durable on this node, up to this index

  Batch batch_;
  std::unique_ptr<BatchReads> batch_reads_;
  unsigned holds_ =
      0;  // range queries that may need several rounds; while there are any, no entry is executed
  std::vector<Working> working_;  // of the current command; the first working_count_ are in use
  size_t working_count_ = 0;

  // Hashes of keys that are read soon, in a ring: see expect_query().
  std::array<uint64_t, 4> expected_{};
  size_t expected_count_ = 0;

  Question question_;            // decoded by query(); reused
  std::vector<uint8_t> answer_;  // reply to a query that completes within the call; reused
  std::vector<std::unique_ptr<Query>>
      queries_;                       // that wait for the store, by slot; a free slot is null
  std::vector<size_t> free_queries_;  // the free slots
  // What queries that are with the worker have copied from memtables and keep of their answers. While it has
  // max_copied_bytes no further query starts: any number of clients may ask for large answers at once.
  static constexpr size_t max_copied_bytes = 8 << 20;
  size_t copied_bytes_ = 0;
  // Until copied_bytes_ falls; ranges also until the immutable memtable is sorted.
  std::deque<Query*> waiting_;
  struct Count {
    uint64_t token;    // of the query
    uint64_t index;    // of the state that was counted
    uint64_t records;  // in that state
  };
  std::vector<Count> counted_;  // count queries that can be completed

  uint64_t last_hash_index_ = 0;  // the last multiple of hash_interval that was executed
  uint64_t log_bytes_ = 0;        // of the entries in the active memtable
  FlushStage flush_stage_ = FlushStage::none;  // of immutable_, which is null only in stage none
  bop_position immutable_last_{0, 0};          // the last entry of the immutable memtable
  uint64_t reads_before_immutable_ = 0;  // reads_->submitted() when it became immutable: rule 2
  bop_position flushed_position_{0, 0};  // the last entry contained in the store, synced or not
  std::vector<std::unique_ptr<Job>> jobs_;
  struct Sync {
    uint64_t token;
    uint64_t index;  // applied_ at the call: complete when durable_ reaches it
  };
  std::vector<Sync> syncs_;
  std::vector<Operation> checked_;  // decoded by check(); reused

  // Not null while the store is verified: until then nothing is applied and nothing is answered.
  std::unique_ptr<StoreCheck> check_;
  std::string verifying_;  // that this is so, for people
  struct {
    uint64_t done_bytes = 0, total_bytes = 0;
  } verification_;
  ScrubPass pass_;
  uint64_t scrubbed_bytes_ = 0;
  uint64_t scrub_passes_ = 0;  // complete ones

  std::vector<std::shared_ptr<Export>> exports_;  // the snapshots that are open, few
  std::unique_ptr<Restore> restore_;              // null: none is in progress

  std::unique_ptr<StoredVersionReads> stored_version_reads_;
  bool reading_stored_versions_ = false;
  // The stored versions of this many keys of the active memtable, in the order in which they were first
  // touched, have to be looked up, because a hash or a count that includes them was requested.
  size_t stored_versions_wanted_ = 0;
  uint64_t hash_asked_at_ = 0;                // applied_.index at the last call of state_hash()
  std::deque<bop_state_hash> recent_hashes_;  // see recent_hashes()
};

}  // namespace bop::machine::kv

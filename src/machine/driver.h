// Driver: a machine behind the C table of bop/machine.h, as its group uses it.
//
//            open()                  apply → PENDING
//  (none) ──────────► ready ───────────────────────────► applying
//                       ▲ ◄──────────────────────────────   │
//                       │      host->complete               │
//                       │                                   │
//       a function of the table returned an error or broke a rule of bop/machine.h
//                       │                                   │
//                       └──────────► failed ◄───────────────┘   final; the group needs a new driver
//
// A machine that verifies its state after open() is ready as well, but not verified(): it applies nothing yet, and
// every query is refused.
//
// The driver checks everything that a machine can get wrong: the table's version and size, the statuses
// it returns, how often it completes a token and with how many replies. A violation fails the machine,
// never the process. All of a Driver is used on its shard's thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "base/bytes.h"
#include "base/result.h"
#include "bop/machine.h"
#include "machine/options.h"

namespace bop::machine {

// The workers of one machine, provided by the shard. Must outlive the driver.
class Offload {
 public:
  enum class WorkQueue : uint8_t {
    reads = BOP_WORK_READS,
    writes = BOP_WORK_WRITES,
    bulk = BOP_WORK_BULK,
  };
  virtual ~Offload() = default;
  // Runs work() on the queue's worker and then done() on the shard's thread, never from within this
  // call. Jobs of one queue run in order; the queues run concurrently.
  virtual void submit(WorkQueue queue, std::function<void()> work, std::function<void()> done) = 0;
};

struct DriverOptions {
  std::string group;      // name of the group, for messages
  Identity identity;      // of its state
  std::string directory;  // must exist; empty: memory only
  Options machine;
};

// Bytes in replies are valid during the call.
class DriverEvents {
 public:
  virtual ~DriverEvents() = default;
  // The batch passed to apply() is applied: one reply for each entry, in order. May be called from within
  // apply().
  virtual void applied(std::span<const bop_reply> replies) = 0;
  // May be called from within query(). Every query is answered once, also when the machine fails.
  virtual void answered(uint64_t token, const bop_reply& reply) = 0;
  // Called once. Nothing is applied any more, and every query is answered with the error: BOP_E_DAMAGED when the
  // machine found its stored state damaged, else BOP_E_MACHINE.
  virtual void failed(const Error& error) = 0;
  // Driver::verified() became true.
  virtual void verified() {}
};

struct SnapshotOptions {
  std::string scratch;            // an empty directory for files; empty: parts are bytes only
  bop_position base{};            // of an earlier snapshot that parts may refer to; 0, 0: none
  uint64_t part_bytes = 1 << 20;  // size that parts should have
};

// Events of one snapshot, also from within calls of the driver.
class SnapshotEvents {
 public:
  virtual ~SnapshotEvents() = default;
  virtual void begun() = 0;  // the first part may be asked for
  // The snapshot captures the state that the machine has now, after the entry `applied`.
  virtual void at_point(bop_position applied) = 0;
  // The next part or piece, or BOP_PART_END, after which the snapshot is closed. Valid during the call.
  virtual void part(const bop_part& part) = 0;
  // The snapshot is closed; the machine goes on, unless it failed itself.
  virtual void failed(const Error& error) = 0;
};

struct RestoreOptions {
  std::string kind;      // of the machine that made the snapshot
  uint32_t version = 0;  // of the state in it
  uint64_t bytes = 0;    // of all parts
};

class RestoreEvents {
 public:
  virtual ~RestoreEvents() = default;
  // The last call of the restore completed, perhaps from within it. After an error the restore is over: the driver
  // has to be destroyed, and what the machine wrote removed.
  virtual void restored(const Status& status) = 0;
};

class Driver {
 public:
  // Blocks. The table must outlive the driver.
  static Result<std::unique_ptr<Driver>> open(const bop_machine_table& table,
                                              const DriverOptions& options, Offload& offload,
                                              DriverEvents& events);
  // Waits for the job that is running; no other job runs.
  ~Driver();
  Driver(const Driver&) = delete;
  Driver& operator=(const Driver&) = delete;

  // Applies entries, in increasing order of index. The array and its commands must stay unchanged until
  // applied(). The next batch may be passed then, also from within applied().
  void apply(std::span<const bop_entry> entries);
  bool applying() const;

  // BOP_OK when the command is well-formed and may be proposed, else the reason why not.
  bop_status check(Bytes command);

  // The bytes of `query` must stay unchanged until answered().
  void query(Bytes query, uint64_t token);
  // A hint: this query will be passed after a few others.
  void expect_query(Bytes query);

  // Requests to make durable what is applied, so that durable() rises. It waits until stable() has reached
  // the last entry applied. All calls during a sync are served by one further sync.
  void sync();
  bool syncing() const;

  // ---- snapshots ----
  // The snapshot's handle, for the calls below. UNSUPPORTED: the machine makes none. OVERLOADED: too many are open.
  // `events` must outlive the snapshot.
  Result<uint64_t> begin_snapshot(const SnapshotOptions& options, SnapshotEvents& events);
  // After begun(), and after each part but the end.
  void next_part(uint64_t handle);
  // At any time, but not from within a call of the machine. No event follows.
  void end_snapshot(uint64_t handle);

  // Restores a snapshot into a machine that has applied nothing: begin_restore, restore_part for each part or piece,
  // finish_restore, each when the call before it completed. UNSUPPORTED: the machine restores none.
  // INVALID_ARGUMENT: it has a state.
  Status begin_restore(const RestoreOptions& options, RestoreEvents& events);
  void restore_part(const bop_part& part);  // which stays unchanged until the call completes
  void finish_restore(bop_position position);

  // `index` is min(committed, durable on this node): the machine may make that much permanent.
  void stable(uint64_t index);

  bop_position applied() const;
  bop_position durable() const;  // 0, 0 for a machine that keeps its state in memory
  bool in_memory()
      const;  // the machine has no storage of its own: only a snapshot of it is durable
  std::optional<bop_state_hash> state_hash();
  uint32_t version() const;  // stamped into entries
  const char* kind() const;
  bool has_failed() const;

  // As bop_machine_integrity. `bytes` of 0 are not known.
  struct Verification {
    uint64_t done_bytes = 0, total_bytes = 0;
    uint64_t scrubbed_bytes = 0, scrub_passes = 0;
  };
  bool verified() const;
  Verification verification() const;
  // Lets the machine verify about that many bytes of its stored state, unless it is still at those of the last call.
  // False: it has nothing to verify.
  bool scrub(uint64_t bytes);

  // As in bop_machine_table, and never null before verified(), unless the machine failed. Valid until the next call.
  const char* obstacle() const;

 private:
  struct State;
  explicit Driver(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace bop::machine

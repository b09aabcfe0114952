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
  enum class WorkQueue : uint8_t { reads = BOP_WORK_READS, writes = BOP_WORK_WRITES };
  virtual ~Offload() = default;
  // Runs work() on the queue's worker and then done() on the shard's thread, never from within this
  // call. Jobs of one queue run in order; the two queues run concurrently.
  virtual void submit(WorkQueue queue, std::function<void()> work, std::function<void()> done) = 0;
};

struct DriverOptions {
  std::string group;      // name of the group, for messages
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
  // Called once. Nothing is applied any more, and every query is answered with BOP_E_MACHINE.
  virtual void failed(const Error& error) = 0;
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

  // `index` is min(committed, durable on this node): the machine may make that much permanent.
  void stable(uint64_t index);

  bop_position applied() const;
  bop_position durable() const;
  std::optional<bop_state_hash> state_hash();
  uint32_t version() const;  // stamped into entries
  const char* kind() const;
  bool has_failed() const;
  const char* obstacle() const;  // as in bop_machine_table; valid until the next call

 private:
  struct State;
  explicit Driver(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace bop::machine

// Passes committed entries to the machine, in order, one batch at a time.
//
//               entries are in memory                  all replies arrived
//   idle ──────────────────────────────► applying ──────────────────────► idle
//    │                                      ▲
//    │ entries are only in the log's files  │ idle, and advance() again
//    └───────────► loading ─────────────────┘
//
// stop() leads from each stage to stopped, which is final.
#pragma once

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "group/inbox.h"
#include "log/log.h"
#include "machine/driver.h"
#include "raft/core.h"

namespace bop::group {

class ApplyPipeline {
 public:
  enum class Stage : uint8_t {
    idle,      // the next committed entries can be applied, if there are any
    loading,   // committed entries are being read from the log's files, as after a restart
    applying,  // the machine applies batch_
    stopped,   // the replica halted: results of operations in progress are ignored
  };

  // `events` receives the machine's replies, also for a batch without commands, and passes them to
  // finish_batch(). Its failed() is called when committed entries cannot be read.
  ApplyPipeline(GroupId group, log::Log& log, Inbox& inbox, machine::DriverEvents& events)
      : group_(group), log_(log), inbox_(inbox), events_(events) {}

  // The machine's state includes all entries up to `applied`.
  void begin(Index applied) { applied_ = applied; }
  // Another machine, with the state after `applied`, took the place of the one that was passed a batch. What that or a
  // read of the log still returns is ignored.
  void restart(Index applied);
  // Applies committed entries until it has to wait for the machine or the log.
  void advance(const raft::Core& core, machine::Driver& driver);
  // Takes the machine's replies to the batch. `each` is called for every entry of the batch, in order, with
  // its index, its term (0: not a command) and its outcome, which it may complete.
  template <class Each>
  void finish_batch(std::span<const bop_reply> replies, Each each);
  void stop() { stage_ = Stage::stopped; }
  // Of the entries applied since the last call.
  std::vector<raft::ConfigurationAt> take_configurations() {
    return std::exchange(configurations_, {});
  }

  Index applied() const { return applied_; }
  // The leader's time in the command at `index`, which is the last one applied; 0: none was since the start.
  int64_t time_of(Index index) const;
  Stage stage() const { return stage_; }

  void check_invariants(const raft::Core& core) const;

 private:
  void take_up(const raft::Core& core, machine::Driver& driver);
  void apply(std::span<const raft::Entry> entries, machine::Driver& driver);
  void load(const raft::Core& core);
  void loaded(Index committed, Result<std::vector<raft::Entry>> entries);

  const GroupId group_;
  log::Log& log_;
  Inbox& inbox_;
  machine::DriverEvents& events_;

  Stage stage_ = Stage::idle;
  uint64_t restarts_ = 0;
  bool advancing_ = false;  // advance() is on the stack and will continue
  Index applied_ = 0;       // of the last entry applied
  // Consecutive committed entries read from the log; those after applied_ are still to be applied.
  std::vector<raft::Entry> loaded_;
  std::vector<bop_entry> batch_;  // the commands of the batch, while the machine applies it
  std::vector<raft::ConfigurationAt> configurations_;  // of committed entries taken up
  int64_t time_before_ns_ = 0;                         // of the last command before the batch
  Index batch_last_ = 0;  // the batch has the entries after applied_ up to this index
};

template <class Each>
void ApplyPipeline::finish_batch(std::span<const bop_reply> replies, Each each) {
  BOP_ASSERT(stage_ == Stage::applying || stage_ == Stage::stopped);
  BOP_ASSERT_EQ(replies.size(), batch_.size());
  size_t next = 0;
  for (Index index = applied_ + 1; index <= batch_last_; ++index) {
    Outcome outcome;
    Term term = 0;
    if (next < batch_.size() && batch_[next].index == index) {
      const bop_reply& reply = replies[next];
      outcome.status = static_cast<bop_status>(reply.status);
      outcome.body = Bytes(reply.body.data, reply.body.size);
      term = batch_[next].term;
      ++next;
    }
    each(index, term, outcome);
  }
  applied_ = batch_last_;
  if (stage_ == Stage::applying) stage_ = Stage::idle;
  // The machine completed the batch later: what follows needs another turn.
  if (!advancing_) inbox_.schedule();
}

}  // namespace bop::group

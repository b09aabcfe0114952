// Gives committed entries to the machine, in order, one batch at a time.
//
//               entries are in memory                  all replies came
//   idle ──────────────────────────────► applying ──────────────────────► idle
//    │                                      ▲
//    │ only the log's files have them       │ idle, and advance() again
//    └───────────► loading ─────────────────┘
//
// stop() leads from each to stopped, which nothing leaves.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "group/inbox.h"
#include "log/log.h"
#include "machine/driver.h"
#include "raft/core.h"

namespace bop::group {

class ApplyPipeline {
 public:
  enum class Stage : uint8_t {
    idle,      // the next committed entry may be taken up, when there is one
    loading,   // committed entries are being read from the log's files, as after a restart
    applying,  // batch_ is with the machine
    stopped,   // the replica halted: what is still under way counts no more
  };

  // `events` hears the machine's replies, also of a batch without a command; it passes them on to
  // finish_batch(). It hears failed() when committed entries cannot be had.
  ApplyPipeline(GroupId group, log::Log& log, Inbox& inbox, machine::DriverEvents& events)
      : group_(group), log_(log), inbox_(inbox), events_(events) {}

  // The machine holds everything up to `applied`.
  void begin(Index applied) { applied_ = applied; }
  // Takes up what is committed, until a stage has to be waited for.
  void advance(const raft::Core& core, machine::Driver& driver);
  // The machine's replies to the batch: `each` is called for every entry of it, in order, with its index,
  // its term (0: no command) and its outcome.
  template <class Each>
  void finish_batch(std::span<const bop_reply> replies, Each each);
  void stop() { stage_ = Stage::stopped; }

  Index applied() const { return applied_; }
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
  bool advancing_ = false;  // advance() is on the stack and goes on by itself
  Index applied_ = 0;
  std::vector<raft::Entry>
      loaded_;  // consecutive, committed; what follows applied_ is still to be applied
  std::vector<bop_entry> batch_;  // its commands, while it is with the machine
  Index batch_last_ = 0;          // the batch covers the entries behind applied_ up to here
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
  // A completion that comes later needs a turn of its own.
  if (!advancing_) inbox_.schedule();
}

}  // namespace bop::group

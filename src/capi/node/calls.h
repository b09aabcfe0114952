// The calls of the embedding program to one shard: passed to its thread in batches, each completed once.
#pragma once

#include <cstdint>
#include <mutex>
#include <string>
#include <vector>

#include "capi/node/runtime.h"
#include "capi/queue.h"
#include "mem/buffer.h"
#include "port/requests.h"

namespace bop::capi {

struct NodeCall {
  uint64_t tag = 0;  // the caller's
  GroupId group = 0;
  bool command = false;  // propose; else query
  mem::Buffer payload;   // must be the only reference: it moves to another thread
  Duration timeout = 0;  // from when the shard receives the call
};

class ShardCalls final : public port::Completion {
 public:
  ShardCalls(Runtime& runtime, uint32_t shard, const Completions& completions)
      : runtime_(runtime), shard_(shard), completions_(completions) {}

  // The caller has reserved the completion. STOPPED after close(). Any thread.
  Status submit(NodeCall call);
  // Refuses further calls. Any thread.
  void close();
  // Completes the calls that were not answered: STOPPED, or OUTCOME_UNKNOWN for commands that were submitted. Call it
  // after the shard's thread has ended.
  void abandon();

  void complete(uint64_t token, const port::Outcome& answer) override;

 private:
  struct Slot {
    uint64_t tag = 0;
    bool used = false;     // a call in flight has it
    bool command = false;  // as in NodeCall
  };

  void take_mail(node::Service& service);
  uint64_t take_slot(const NodeCall& call);
  void enqueue(uint64_t tag, const port::Outcome& answer) const;

  Runtime& runtime_;
  const uint32_t shard_;
  const Completions& completions_;

  std::mutex mutex_;               // of mailbox_ and closed_
  std::vector<NodeCall> mailbox_;  // calls that the shard has not taken yet
  bool closed_ = false;

  // Used by the shard's thread only. A request's token is the index of its slot.
  std::vector<NodeCall> taken_;  // the batch being submitted
  std::vector<Slot> slots_;
  std::vector<uint64_t> free_slots_;
};

}  // namespace bop::capi

// The calls that a host has under way on one shard: carried there in batches, answered once each.
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
  uint64_t tag = 0;
  GroupId group = 0;
  bool command = false;  // else a question
  mem::Buffer payload;   // the only handle: it crosses threads
  Duration timeout = 0;
};

class ShardCalls final : public port::Completion {
 public:
  ShardCalls(Runtime& runtime, uint32_t shard, const Completions& completions)
      : runtime_(runtime), shard_(shard), completions_(completions) {}

  // Its completion is reserved. STOPPED after close(). Any thread.
  Status submit(NodeCall call);
  // No call is taken any more. Any thread.
  void close();
  // Completes what was never answered: STOPPED, or OUTCOME_UNKNOWN for commands. When the shard's
  // thread is gone.
  void abandon();

  void complete(uint64_t token, const port::Outcome& answer) override;

 private:
  struct Slot {
    uint64_t tag = 0;
    bool used = false;
    bool command = false;
  };

  void take_mail(node::Service& service);
  uint64_t take_slot(const NodeCall& call);
  void enqueue(uint64_t tag, const port::Outcome& answer) const;

  Runtime& runtime_;
  const uint32_t shard_;
  const Completions& completions_;

  std::mutex mutex_;  // of the mailbox
  std::vector<NodeCall> mailbox_;
  bool closed_ = false;

  // The shard's thread's. A token is its slot.
  std::vector<NodeCall> taken_;
  std::vector<Slot> slots_;
  std::vector<uint64_t> free_slots_;
};

}  // namespace bop::capi

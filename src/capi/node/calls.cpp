#include "capi/node/calls.h"

#include "base/assert.h"

namespace bop::capi {

Status ShardCalls::submit(NodeCall call) {
  bool first;
  {
    const std::lock_guard lock(mutex_);
    if (closed_) return fail(BOP_E_STOPPED);
    first = mailbox_.empty();
    mailbox_.push_back(std::move(call));
  }
  if (first) runtime_.on_shard(shard_, [this](node::Service& service) { take_mail(service); });
  return {};
}

void ShardCalls::close() {
  const std::lock_guard lock(mutex_);
  closed_ = true;
}

void ShardCalls::take_mail(node::Service& service) {
  {
    const std::lock_guard lock(mutex_);
    taken_.swap(mailbox_);
  }
  for (NodeCall& call : taken_) {
    port::Request request;
    request.group = call.group;
    request.deadline = service.now() + call.timeout;
    request.completion = this;
    request.token = take_slot(call);
    request.payload = std::move(call.payload);
    if (call.command) {
      service.propose(std::move(request));
    } else {
      service.query(std::move(request));
    }
  }
  taken_.clear();
}

uint64_t ShardCalls::take_slot(const NodeCall& call) {
  uint64_t slot = slots_.size();
  if (free_slots_.empty()) {
    slots_.emplace_back();
  } else {
    slot = free_slots_.back();
    free_slots_.pop_back();
  }
  slots_[slot] = {call.tag, true, call.command};
  return slot;
}

void ShardCalls::complete(uint64_t token, const port::Outcome& answer) {
  BOP_ASSERT_LT(token, slots_.size());
  BOP_ASSERT(slots_[token].used);
  slots_[token].used = false;
  free_slots_.push_back(token);
  enqueue(slots_[token].tag, answer);
}

void ShardCalls::enqueue(uint64_t tag, const port::Outcome& answer) const {
  const std::string detail(answer.detail);  // adds the NUL
  bop_completion completion{};
  completion.tag = tag;
  completion.status = answer.status;
  completion.attempts = 1;
  completion.index = answer.index;
  completion.leader = answer.leader;
  completion.body = {answer.body.data(), answer.body.size()};
  completion.detail = detail.c_str();
  completions_.complete(completion);
}

void ShardCalls::abandon() {
  port::Outcome answer;
  answer.detail = "the node was stopped";
  answer.status = BOP_E_STOPPED;
  for (const NodeCall& call : mailbox_) enqueue(call.tag, answer);
  mailbox_.clear();
  for (Slot& slot : slots_) {
    if (!slot.used) continue;
    slot.used = false;
    answer.status = slot.command ? BOP_E_OUTCOME_UNKNOWN : BOP_E_STOPPED;
    enqueue(slot.tag, answer);
  }
}

}  // namespace bop::capi

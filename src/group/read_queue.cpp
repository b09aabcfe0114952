#include "group/read_queue.h"

#include <utility>

#include "group/seeded_bugs.h"

namespace bop::group {

namespace {

uint64_t token_of(uint32_t generation, uint32_t slot) { return uint64_t{generation} << 32 | slot; }
uint32_t slot_of(uint64_t token) { return static_cast<uint32_t>(token); }
uint32_t generation_of(uint64_t token) { return static_cast<uint32_t>(token >> 32); }

}  // namespace

// Whether a request is in the slot and not passed to the machine.
bool ReadQueue::is_pending(Stage stage) {
  return stage == Stage::asked || stage == Stage::unserved || stage == Stage::waiting;
}

void ReadQueue::add(Request request) {
  if (free_.empty()) {
    if (slots_.size() >= capacity_)
      return inbox_.complete(request, BOP_E_OVERLOADED, "too many reads are open in this group");
    free_.push_back(static_cast<uint32_t>(slots_.size()));
    slots_.emplace_back();
  }
  const uint32_t slot = free_.back();
  free_.pop_back();
  BOP_ASSERT(slots_[slot].stage == Stage::free);
  slots_[slot].request = std::move(request);
  if (seeded(Bug::read_without_index)) {
    slots_[slot].stage = Stage::waiting;
    waiting_.push_back(slot);
    return inbox_.schedule();
  }
  ask(slot);
}

void ReadQueue::ask(uint32_t slot) {
  Slot& read = slots_[slot];
  read.stage = Stage::asked;
  read.index = 0;
  ++read.generation;
  inbox_.add(raft::Read{token_of(read.generation, slot)});
}

void ReadQueue::on_index(const raft::Update::ReadReady& ready) {
  const uint32_t slot = slot_of(ready.token);
  BOP_ASSERT_LT(slot, slots_.size());
  Slot& read = slots_[slot];
  if (read.generation != generation_of(ready.token) || read.stage != Stage::asked) return;
  read.stage = Stage::waiting;
  read.index = ready.index;
  waiting_.push_back(slot);
}

void ReadQueue::on_refused(uint64_t token, bop_status error) {
  const uint32_t slot = slot_of(token);
  BOP_ASSERT_LT(slot, slots_.size());
  Slot& read = slots_[slot];
  if (read.generation != generation_of(token) || read.stage != Stage::asked) return;
  if (error == BOP_E_OVERLOADED)
    refuse(slot, error, {});
  else
    read.stage = Stage::unserved;
}

std::optional<ReadQueue::Question> ReadQueue::next(Index applied) {
  while (!waiting_.empty()) {
    const uint32_t slot = waiting_.front();
    Slot& read = slots_[slot];
    if (read.stage == Stage::waiting) {
      if (read.index > applied && !seeded(Bug::read_before_applied)) return {};
      waiting_.pop_front();
      read.stage = Stage::with_machine;
      return Question{slot, read.request.payload.bytes()};
    }
    BOP_ASSERT(read.stage == Stage::free);  // refused meanwhile
    waiting_.pop_front();
    free_.push_back(slot);
  }
  return {};
}

Bytes ReadQueue::upcoming(size_t ahead) const {
  if (ahead >= waiting_.size()) return {};
  const Slot& read = slots_[waiting_[ahead]];
  return read.stage == Stage::waiting ? read.request.payload.bytes() : Bytes();
}

std::optional<Request> ReadQueue::take(uint32_t slot) {
  BOP_ASSERT_LT(slot, slots_.size());
  const Stage stage = std::exchange(slots_[slot].stage, Stage::free);
  BOP_ASSERT(stage == Stage::with_machine || stage == Stage::overdue);
  Request request = std::exchange(slots_[slot].request, {});
  free_.push_back(slot);
  if (stage == Stage::overdue) return {};
  return request;
}

void ReadQueue::restart() {
  for (uint32_t slot = 0; slot < slots_.size(); ++slot) {
    Slot& read = slots_[slot];
    if (read.stage == Stage::with_machine) {
      read.stage = Stage::waiting;
      waiting_.push_front(slot);
    } else if (read.stage == Stage::overdue) {
      (void)take(slot);
    }
  }
}

void ReadQueue::refuse(uint32_t slot, bop_status status, std::string detail) {
  Slot& read = slots_[slot];
  BOP_ASSERT(is_pending(read.stage));
  inbox_.complete(read.request, status, std::move(detail));
  read.request = {};
  // A waiting slot stays in waiting_, and is not reused until next() skips it.
  if (read.stage != Stage::waiting) free_.push_back(slot);
  read.stage = Stage::free;
}

void ReadQueue::expire(Instant now, bool leader_known) {
  if (idle()) return;
  for (uint32_t slot = 0; slot < slots_.size(); ++slot) {
    Slot& read = slots_[slot];
    const bool passed = read.request.deadline <= now;
    if (read.stage == Stage::with_machine && passed) {
      inbox_.complete(read.request, BOP_E_TIMEOUT, "the machine did not reply before the deadline");
      read.request.completion = nullptr;
      read.stage = Stage::overdue;
    }
    if (!is_pending(read.stage)) continue;
    if (passed) {
      refuse(slot, BOP_E_TIMEOUT,
             read.stage == Stage::waiting
                 ? "this node did not receive the leader's entries before the deadline"
                 : "no leader confirmed the read before the deadline");
    } else if (read.stage == Stage::unserved && leader_known) {
      ask(slot);
    }
  }
}

void ReadQueue::refuse_all(const Error& reason) {
  for (uint32_t slot = 0; slot < slots_.size(); ++slot)
    if (is_pending(slots_[slot].stage)) refuse(slot, reason.code, reason.detail);
  free_.insert(free_.end(), waiting_.begin(), waiting_.end());
  waiting_.clear();
}

void ReadQueue::check_invariants() const {
  size_t held = 0;
  size_t waiting = 0;
  for (const Slot& slot : slots_) {
    if (slot.stage == Stage::waiting) ++waiting;
    if (slot.stage != Stage::free) ++held;
    if (slot.stage == Stage::free || slot.stage == Stage::overdue)
      BOP_ASSERT(slot.request.completion == nullptr);
  }
  BOP_ASSERT_LE(slots_.size(), capacity_);
  BOP_ASSERT_LE(waiting, waiting_.size());
  // A slot that was refused while it waited has no request, but is not on free_ yet.
  BOP_ASSERT_EQ(held + free_.size() + (waiting_.size() - waiting), slots_.size());
}

}  // namespace bop::group

// Calls: the requests under way, found by correlation id, and their deadlines.
//
// Slots are reused; a correlation id carries the slot's generation, so that the late answer of a call
// that ended finds nothing. Deadlines hang on a wheel of lists: to add and to remove one costs the
// same however many there are, and each is met within a tick.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/time.h"
#include "mem/buffer.h"
#include "proto/client.h"

namespace bop::client {

class Channel;

// free ──add──► queued ──► sent ──answer──► free
//                 ▲  │      │
//                 │  └► parked: nobody to send it to now, or it was refused and waits to be sent again
//                 └─────────┘
struct Call {
  enum class State : uint8_t { free, queued, sent, parked };

  uint64_t tag = 0;
  proto::RequestKind kind{};
  State state = State::free;
  uint32_t generation = 1;  // so that 0 is nobody's correlation
  uint32_t connection = 0;
  uint32_t attempts = 0;  // how often it was sent
  uint32_t refusals = 0;  // how often it came back unexecuted: grows the pause before the next
  GroupId group = 0;      // 0: group_name is still to be resolved
  std::string group_name;
  mem::Buffer payload;
  Instant deadline = 0;
  Instant not_before = 0;      // of a parked one
  Channel* channel = nullptr;  // of a queued or sent one
  NodeId leader = 0;           // last hint
  std::string cause;           // why it came back, with its status
  int32_t refused_as = 0;

  uint32_t next = 0, previous = 0;  // on the wheel, or the free list
  uint32_t bucket = 0;

  // To the endpoint of number `connection`, and no other.
  bool pinned() const { return kind == proto::RequestKind::status; }
  // Executing it once more changes nothing.
  bool repeatable() const { return kind != proto::RequestKind::propose; }
  // What is sent first is not the call but the question for its group's id.
  bool resolving() const { return group == 0 && !group_name.empty(); }
  // A command that was sent and not answered: whether it ran is unknown.
  bool may_have_run() const { return state == State::sent && !repeatable() && !resolving(); }
};

class Calls {
 public:
  static constexpr Duration tick = 10 * milliseconds;

  explicit Calls(Instant now);

  // Its deadline is on the wheel from here to remove().
  uint64_t add(Call call);
  Call* find(uint64_t correlation);
  void remove(uint64_t correlation);
  uint64_t correlation_of(const Call& call) const;

  size_t count() const { return count_; }

  // Appends the correlations of all calls whose deadline is at or before `now`.
  void expired(Instant now, std::vector<uint64_t>& out);
  // All there are, in no order.
  void all(std::vector<uint64_t>& out) const;

 private:
  static constexpr uint32_t none = UINT32_MAX;
  static constexpr size_t buckets = 512;  // 5 s; later deadlines go round

  void hang(uint32_t slot);
  void unhang(uint32_t slot);

  std::vector<Call> slots_;
  uint32_t free_ = none;
  size_t count_ = 0;
  std::array<uint32_t, buckets> heads_;
  int64_t ticked_;  // every deadline in ticks up to here was looked at
};

}  // namespace bop::client
